// What tests of a resync share: the commands, a lost slot, and what the receiver took.
import { expect } from "vitest";
import { runCli } from "./cli.ts";
import { rowsOf } from "./ledger-order.ts";
import type { LedgerRow } from "./ledger.ts";
import type { TestDatabase } from "./postgres.ts";
import type { TestProject } from "./project.ts";
import type { Receiver } from "./receiver.ts";

export const command = (at: TestProject, ...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });

export async function once(at: TestProject): Promise<void> {
  const { code, stdout, stderr } = await command(at, "run", "--once");
  if (code !== 0) throw new Error(`run --once: ${code}\n${stdout}\n${stderr}`);
}

/** What happens to a database's slots when its log grew too large: nothing is left to go on from. */
export async function loseSlot(database: TestDatabase): Promise<void> {
  await database.sql(
    "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE database = current_database() AND NOT active",
  );
}

/** Makes a change while nobody looks, loses the slot, and begins a resync of each sync. */
export async function resyncAfterAGap(
  database: TestDatabase,
  at: TestProject,
  change: string,
  syncs: readonly string[] = ["users"],
): Promise<void> {
  await database.sql(change);
  await loseSlot(database);
  const { stdout } = await command(at, "run", "--once");
  const stopped = stdout.split("\n").filter((line) => line.includes("source.gap"));
  for (const sync of syncs) {
    expect(
      stopped.some((line) => line.includes(`"sync":"${sync}"`)),
      `${sync}: ${stdout}`,
    ).toBe(true);
    expect((await command(at, "resync", sync)).code).toBe(0);
  }
}

/** `path`: only of the sync that delivers there. */
export function acknowledged(receiver: Receiver, op: string, path?: string): LedgerRow[] {
  const entries = path === undefined ? receiver.ledger.entries : entriesOf(receiver, path);
  return [...rowsOf(entries)].filter((row) => row.acknowledged && row.op === op);
}

export const entriesOf = ({ ledger }: Receiver, path: string) =>
  ledger.entries.filter((entry) => entry.kind === "mark" || entry.path === `/${path}`);

export const keysOf = (rows: readonly LedgerRow[]): string[] => [...new Set(rows.map(({ key }) => key))].sort();
