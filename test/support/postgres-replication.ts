import type { Change, ChangeBatch, Position } from "../../src/contracts/change.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { TableModel } from "../../src/contracts/model.ts";
import type { SourceCheckpoint } from "../../src/contracts/source.ts";
import { connect } from "../../src/sources/postgres/connection.ts";
import { RelationVersions } from "../../src/kit/relation-versions.ts";
import { Replication, type ReplicationOptions } from "../../src/sources/postgres/replication.ts";
import { SqlSession } from "../../src/sources/postgres/sql-session.ts";
import { streamCatalogue } from "../../src/sources/postgres/stream-catalogue.ts";
import type { TestDatabase } from "./postgres.ts";
import { tableModel } from "./models.ts";

export interface TestReplication extends AsyncDisposable {
  readonly replication: Replication;
  readonly slot: string;
  /** What was logged: [level, message]. */
  readonly said: [string, string][];
  open(tables: readonly (string | TableModel)[], stored?: readonly SourceCheckpoint[]): Promise<SourceCheckpoint>;
  /** Reads from `after` until `enough` says so; the changes in order. */
  read(
    after: Position,
    enough: (changes: readonly Change[], batch: ChangeBatch) => boolean,
  ): Promise<readonly Change[]>;
}

export function model(name: string): TableModel {
  return tableModel(name);
}

/** The replication half of a source on `database`; every call makes another "process" with the same slot. */
export function replicationOn(
  database: Pick<TestDatabase, "name" | "url">,
  overrides: Partial<ReplicationOptions> = {},
): TestReplication {
  const settings = { url: database.url };
  const never = new AbortController().signal;
  const said: [string, string][] = [];
  const log: Log = {
    debug: (message) => said.push(["debug", message]),
    info: (message) => said.push(["info", message]),
    warn: (message) => said.push(["warn", message]),
    error: (message) => said.push(["error", message]),
    child: () => log,
  };
  const side = new SqlSession((signal) => connect(settings, { replication: false, signal }));
  const sharedSlot = `tailrace_${database.name}`;
  const slot = overrides.slot ?? sharedSlot;
  const replication = new Replication({
    connect: (isReplication, signal) => connect(settings, { replication: isReplication, signal }),
    side,
    beside: [side],
    catalogue: streamCatalogue(side),
    versions: new RelationVersions(),
    log,
    slot,
    sharedSlot,
    walBudget: 10 * 2 ** 30,
    publication: sharedSlot,
    publicationShared: false,
    schema: "public",
    failover: false,
    heartbeatMs: 0,
    silentAfterMs: 25_000,
    membershipMs: 30_000,
    blockedAfterMs: 5000,
    ...overrides,
  });
  return {
    replication,
    slot,
    said,
    open: (tables, stored = []) =>
      replication.open(
        {
          tables: tables.map((table) => (typeof table === "string" ? model(table) : table)),
          bases: new Map(),
          meanings: new Map(),
        },
        stored,
        never,
      ),
    read: async (after, enough) => {
      const changes: Change[] = [];
      // A reading that gets nothing more ends the test with what it has.
      const signal = AbortSignal.timeout(20_000);
      for await (const batch of replication.read(after, signal)) {
        changes.push(...batch.changes);
        if (enough(changes, batch)) return changes;
      }
      throw new Error(`timed out after ${changes.length} changes`);
    },
    [Symbol.asyncDispose]: async () => {
      await replication[Symbol.asyncDispose]();
      await side[Symbol.asyncDispose]();
    },
  };
}

/** Asks again until `is` holds; fails after 10 s. */
export async function until<T>(ask: () => Promise<T>, is: (answer: T) => boolean, what: string): Promise<T> {
  const endMs = Date.now() + 10_000;
  for (;;) {
    const answer = await ask();
    if (is(answer)) return answer;
    if (Date.now() > endMs) throw new Error(`never: ${what}; last: ${JSON.stringify(answer)}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
