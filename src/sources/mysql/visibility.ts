// What a snapshot sees.
//
// MariaDB tells, with a consistent snapshot, the place in the log that is the same moment: exactly the transactions
// that begin before it are visible. MySQL does not; but a transaction is in `@@gtid_executed` only after the engine has
// committed it, so that what is there before the snapshot is taken is visible in it. What commits in between may be
// visible and is not counted: then a row that was read is left out, or read again, where that was not needed.
import type { Position } from "../../contracts/change.ts";
import type { Connection } from "./connection.ts";
import { type GtidSet, hasGtid, parseGtidSet } from "./gtid-set.ts";
import { startOf } from "./position.ts";
import { readLogEnd, type Server } from "./server.ts";
import { fileNumber } from "./wire/events.ts";

/** The id of a transaction on MariaDB: its GTID, and where it begins. */
export function transactionId(gtid: string, epoch: number, file: number, offset: number): string {
  return `${gtid}@${epoch}:${file}:${offset}`;
}

export interface Snapshot {
  sees(transaction: string): boolean;
  /** A position that everything the snapshot sees is at or before. */
  readonly high: Position;
}

/** Begins a read-only transaction with its snapshot. `epoch`: of the server that is read now. */
export async function beginSnapshot(connection: Connection, server: Server, epoch: number): Promise<Snapshot> {
  if (!server.mariadb) {
    const done = parseGtidSet((await connection.value("SELECT @@GLOBAL.gtid_executed")) ?? "");
    await connection.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
    const { file, offset } = await readLogEnd(connection, server);
    return { sees: (transaction) => seesGtid(done, transaction), high: startOf(epoch, file, offset) };
  }
  await connection.rows("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY");
  const { file, offset } = await snapshotPlace(connection);
  return {
    sees: (transaction) => seesPlace(epoch, file, offset, transaction),
    high: startOf(epoch, file, offset),
  };
}

/** The place in MariaDB's log of the snapshot that was just taken. */
export async function snapshotPlace(
  connection: Connection,
): Promise<{ readonly file: number; readonly offset: number }> {
  const rows = await connection.rows("SHOW STATUS LIKE 'binlog_snapshot_%'");
  const status = new Map(rows.map((row) => [row["Variable_name"]!.toLowerCase(), row["Value"] ?? ""]));
  return {
    file: fileNumber(status.get("binlog_snapshot_file") ?? ""),
    offset: Number(status.get("binlog_snapshot_position")),
  };
}

function seesGtid(done: GtidSet, transaction: string): boolean {
  const [uuid = "", number = ""] = transaction.split(":");
  return number !== "" && hasGtid(done, { uuid, number: BigInt(number) });
}

function seesPlace(epoch: number, file: number, offset: number, transaction: string): boolean {
  const [ofEpoch, ofFile, begun] = /@(\d+):(\d+):(\d+)$/.exec(transaction)!.slice(1).map(Number);
  // What another server handed on before: this one had it, and had settled, before it was read from.
  if (ofEpoch !== epoch) return ofEpoch! < epoch;
  return ofFile! < file || (ofFile === file && begun! < offset);
}
