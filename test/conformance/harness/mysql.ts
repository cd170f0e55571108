import { randomBytes } from "node:crypto";
import { createConnection } from "mysql2/promise";
import type { Target } from "../../../src/contracts/destination.ts";
import { keyText } from "../../support/envelope.ts";
import { MARIADB_INSTALLED, type Mariadb, mariadbDatabase, startMariadb } from "../../support/mariadb.ts";
import type { State } from "../../support/oracle.ts";
import { startTcpProxy } from "../../support/tcp-proxy.ts";
import type { Counterpart, DestinationHarness } from "../counterpart.ts";

/** A MySQL of your own, as a user who may do everything: `mysql://…`. */
const GIVEN = process.env["TEST_MYSQL_URL"];

// One for all counterparts, as long as there is one: it takes seconds to make.
let server: Promise<Mariadb> | null = null;
let users = 0;

async function startOnMariadb(password: string): Promise<Counterpart> {
  users += 1;
  const running = await (server ??= startMariadb());
  return start(running, password, async () => {
    users -= 1;
    if (users > 0) return;
    server = null;
    await running[Symbol.asyncDispose]();
  });
}

async function startOnGiven(password: string): Promise<Counterpart> {
  const url = (database = ""): string => new URL(`/${database}`, GIVEN).href;
  return start({ url }, password, () => Promise.resolve());
}

async function start(running: Pick<Mariadb, "url">, password: string, end: () => Promise<void>): Promise<Counterpart> {
  const database = await mariadbDatabase(running);
  const user = `c_${randomBytes(6).toString("hex")}`;
  await database.sql(
    `CREATE USER ${user}@'%' IDENTIFIED BY '${password}'; GRANT ALL ON ${database.name}.* TO ${user}@'%'`,
  );
  const address = new URL(database.url);
  const proxy = await startTcpProxy({ host: address.hostname, port: Number(address.port || 3306) });
  const url = new URL(proxy.through(database.url));
  url.username = user;
  url.password = password;
  return {
    settings: { url: url.href, create_tables: true, pool: 2 },
    place: (sync) => ({ object: sync, options: {} }),
    state: async (target) => stateOf(target, await database.rows(`SELECT * FROM \`${target.sync}\``)),
    events: async ({ sync }) =>
      (await database.rows(`SELECT tailrace_id AS id FROM \`${sync}\``)).map(({ id }) => id ?? ""),
    connections: () => Promise.resolve(proxy.connections.filter(({ open }) => open).length),
    // The server quotes the trigger's message.
    refuse: ({ sync }, key) =>
      database.sql(
        `CREATE TRIGGER refused_${sync} BEFORE INSERT ON \`${sync}\` FOR EACH ROW IF NEW.id = ${key} THEN SET @m = CONCAT('no ', NEW.name); SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = @m; END IF`,
      ),
    stall: async ({ sync }) => {
      const blocker = await createConnection(database.url);
      await blocker.query(`LOCK TABLES \`${sync}\` WRITE`);
      return () => blocker.end();
    },
    down: async () => {
      await proxy.refuse();
      proxy.cutAll();
      return () => proxy.accept();
    },
    [Symbol.asyncDispose]: async () => {
      await proxy[Symbol.asyncDispose]();
      await database.sql(`DROP USER ${user}@'%'`);
      await database[Symbol.asyncDispose]();
      await end();
    },
  };
}

/** As the source would print what the columns hold. */
function stateOf({ match }: Target, rows: readonly Record<string, string | null>[]): State {
  const truth = (value: string | null | undefined): string | null =>
    value === "1" ? "true" : value === "0" ? "false" : null;
  return new Map(
    rows.map((row) => [
      keyText(match.map((name) => row[name] ?? "")),
      {
        ...row,
        active: truth(row["active"]),
        ...("archived" in row && { archived: truth(row["archived"]) }),
        seen_at: row["seen_at"] === null ? null : `${row["seen_at"]}+00`,
      },
    ]),
  );
}

const harnesses: readonly DestinationHarness[] = [
  {
    name: "MariaDB 10.11",
    missing: MARIADB_INSTALLED ? undefined : "MariaDB is not installed (Debian: apt-get install mariadb-server)",
    waived: {},
    unstorable: { seen_at: ["infinity", "-infinity"] },
    start: startOnMariadb,
  },
  {
    name: "MySQL",
    missing: GIVEN === undefined ? "TEST_MYSQL_URL names no MySQL" : undefined,
    waived: {},
    // MySQL's JSON keeps numbers as doubles.
    unstorable: {
      seen_at: ["infinity", "-infinity"],
      doc: ['{"n": 12345678901234567890.0123456789, "s": "\\"é"}'],
    },
    start: startOnGiven,
  },
];

export default harnesses;
