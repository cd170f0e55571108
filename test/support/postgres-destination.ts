// What the tests of this destination share.
import { inject } from "vitest";
import type { Destination, Target, Writer } from "../../src/contracts/destination.ts";
import type { TailraceError } from "../../src/contracts/errors.ts";
import type { Log } from "../../src/contracts/log.ts";
import connector from "../../src/destinations/postgres/index.ts";
import type { TestDatabase } from "./postgres.ts";

export const NEVER: AbortSignal = new AbortController().signal;
const LOG: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => LOG };
export const SERVERS = [
  { version: "18", url: inject("postgresUrl") },
  { version: "15", url: inject("postgres15Url") },
];

export function destination(database: TestDatabase, settings: Record<string, unknown> = {}): Destination {
  return connector.create(connector.settings.parse({ url: database.url, ...settings }), {
    name: "d",
    log: LOG,
    baseDirectory: "/",
  });
}

export function target(spec: Partial<Target> & Pick<Target, "shape">): Target {
  return {
    sync: "s",
    object: "t",
    mode: "mirror",
    onDelete: { kind: "delete" },
    match: [spec.shape.fields[0]!.name],
    options: {},
    ...spec,
  };
}

let step = 0;
export function writeWith(writer: Writer, batch: Parameters<Writer["write"]>[0], progress = `p${(step += 1)}`) {
  return writer.transactional!.writeWith(batch, progress, NEVER);
}

export async function failure(work: Promise<unknown>): Promise<TailraceError> {
  return work.then(
    () => {
      throw new Error("it did not fail");
    },
    (error: TailraceError) => error,
  );
}

/** Polls until the query returns a row, at most 10 s. */
export async function until(database: TestDatabase, query: string): Promise<Record<string, string | null>> {
  const end = Date.now() + 10_000;
  for (;;) {
    const [row] = await database.rows(query);
    if (row) return row;
    if (Date.now() > end) throw new Error(`never true: ${query}`);
  }
}
