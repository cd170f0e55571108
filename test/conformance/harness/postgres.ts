import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { inject } from "vitest";
import { tableState } from "../../support/oracle.ts";
import { testDatabase } from "../../support/postgres.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import type { Counterpart, DestinationHarness } from "../counterpart.ts";

async function start(server: string, password: string): Promise<Counterpart> {
  const database = await testDatabase(server);
  // The texts of times depend on it.
  await database.sql("SET TimeZone = 'UTC'");
  const role = `conformance_${randomBytes(6).toString("hex")}`;
  await database.sql(
    `CREATE ROLE ${role} LOGIN PASSWORD '${password}'; GRANT ALL ON DATABASE ${database.name} TO ${role}; GRANT ALL ON SCHEMA public TO ${role}`,
  );
  const address = new URL(database.url);
  const proxy = await startTcpProxy({ host: address.hostname, port: Number(address.port) });
  const url = new URL(proxy.through(database.url));
  url.username = role;
  url.password = password;
  return {
    settings: { url: url.href, create_tables: true, pool: 2 },
    place: (sync) => ({ object: sync, options: {} }),
    state: ({ sync, match }) => tableState(database, { table: `public.${sync}`, key: match }),
    events: async ({ sync }) =>
      (await database.rows(`SELECT tailrace_id AS id FROM public.${sync}`)).map(({ id }) => id ?? ""),
    connections: () => Promise.resolve(proxy.connections.filter(({ open }) => open).length),
    // PostgreSQL quotes the whole row in the error's detail.
    refuse: ({ sync }, key) => database.sql(`ALTER TABLE public.${sync} ADD CONSTRAINT refused CHECK (id <> ${key})`),
    stall: async ({ sync }) => {
      const blocker = new Client({ connectionString: database.url });
      await blocker.connect();
      await blocker.query(`BEGIN; LOCK TABLE public.${sync}`);
      return () => blocker.end();
    },
    down: async () => {
      await proxy.refuse();
      proxy.cutAll();
      return () => proxy.accept();
    },
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
      const admin = new Client({ connectionString: server });
      await admin.connect();
      await admin.query(`DROP ROLE ${role}`);
      await admin.end();
    },
  };
}

const servers = [
  { name: "PostgreSQL 18", url: inject("postgresUrl") },
  // Where it is installed: test/support/global-setup.ts says when it is not.
  { name: "PostgreSQL 15", url: inject("postgres15Url") },
].filter(({ url }) => url !== "");

const harnesses: readonly DestinationHarness[] = servers.map(({ name, url }) => ({
  name,
  waived: {},
  start: (secret) => start(url, secret),
}));

export default harnesses;
