import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";
import { poll, withClient } from "../database.ts";
import { type Running, startProcess, stop } from "../process.ts";
import type { Kind, Setting, Subject } from "../subject.ts";
import { type DebeziumOptions, configuration } from "./configuration.ts";
import { debeziumReader } from "./envelope.ts";
import { type Installed, VERSION } from "./install.ts";

/** Settings that only it has. */
type Own = Pick<DebeziumOptions, "offsetFlushMs" | "pollMs">;

export function debezium(installed: Installed, more: Own = {}): Kind {
  return { name: "debezium", rows: debeziumReader(["id"]), create: (setting) => create(installed, setting, more) };
}

async function create({ java, home }: Installed, setting: Setting, more: Own): Promise<Subject> {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-debezium-"));
  const slot = `debezium_${setting.name}`;
  await mkdir(join(folder, "config"));
  await mkdir(join(folder, "data"));
  const { timeoutMs, ...rest } = setting;
  await writeFile(
    join(folder, "config", "application.properties"),
    configuration({ ...rest, slot, ...more, ...(timeoutMs === null ? {} : { timeoutMs }) }),
  );
  // As its run.sh does; the process is the server itself, so that a signal reaches it.
  const classPath = [join(home, `debezium-server-dist-${VERSION}-runner.jar`), "config", join(home, "lib", "*")].join(
    delimiter,
  );
  const start = (): Running => startProcess(java, ["-cp", classPath, "io.debezium.server.Main"], folder);
  return {
    name: "debezium",
    slot,
    prepare: async (warmUp, delivered) => {
      await using server = start();
      await Promise.race([reading(setting.databaseUrl, slot), ended(server)]);
      // Its offsets are stored only once there is a row.
      await warmUp();
      await Promise.race([delivered(), ended(server)]);
      await stop(server);
    },
    start,
    // One row after the other: what is accepted last is the last.
    delivered: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

async function ended(server: Running): Promise<never> {
  const { code, signal } = await server.exit;
  throw new Error(`Debezium Server ended (${code ?? signal}):\n${server.tail()}`);
}

/** Waits until somebody reads the slot. */
function reading(url: string, slot: string): Promise<void> {
  return withClient(url, (client) =>
    poll(async () => {
      const text = "SELECT 1 FROM pg_replication_slots WHERE slot_name = $1 AND active";
      return (await client.query(text, [slot])).rowCount === 1;
    }),
  );
}
