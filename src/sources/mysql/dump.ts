// Makes a server send its log, and reads what it answers.
import { hostname } from "node:os";
import { TailraceError } from "../../contracts/errors.ts";
import { BinlogStream } from "./binlog-stream.ts";
import type { Connection } from "./connection.ts";
import { formatGtidState } from "./gtid-state.ts";
import type { ReadFrom } from "./read-from.ts";
import { asSourceError } from "./source-error.ts";
import { literal } from "./sql.ts";
import { dumpAfter, dumpFrom, registerReplica } from "./wire/commands.ts";
import { EVENT, type Header, fileNumber, readHeader, HEADER_BYTES } from "./wire/events.ts";
import { PacketReader, type Packet } from "./wire/packets.ts";

export interface DumpOptions {
  readonly mariadb: boolean;
  readonly serverId: number;
  readonly silentAfterMs: number;
  /** The files' name without their numbers. */
  readonly base: string;
}

export interface Dump {
  readonly stream: BinlogStream;
  /** Whether the first events end in a checksum. */
  readonly checksums: boolean;
}

/** Offsets in the command have 32 bits. What lies behind is the end of one transaction, and of its file. */
const MOST_OFFSET = 0xffff_ffff;

/** Takes the connection over; closes it when that fails. */
export async function startDump(connection: Connection, from: ReadFrom, options: DumpOptions): Promise<Dump> {
  const { mariadb, serverId, silentAfterMs } = options;
  try {
    const heartbeat = Math.round(silentAfterMs / 3) * 1_000_000;
    const checksum = (await connection.value("SELECT @@GLOBAL.binlog_checksum")) ?? "NONE";
    const id = serverId.toString(16).padStart(12, "0");
    const session = mariadb
      ? `SET @mariadb_slave_capability = 4, @master_heartbeat_period = ${heartbeat}, @master_binlog_checksum = ${literal(checksum)}`
      : // An older reader of ours that the server still believes in is ended by its UUID.
        `SET @slave_uuid = '7a11ace0-0000-4000-8000-${id}', @replica_uuid = '7a11ace0-0000-4000-8000-${id}', ` +
        `@master_heartbeat_period = ${heartbeat}, @source_heartbeat_period = ${heartbeat}, ` +
        `@master_binlog_checksum = ${literal(checksum)}, @source_binlog_checksum = ${literal(checksum)}`;
    await connection.rows(session);
    if (from.state !== undefined) {
      await connection.rows(
        `SET @slave_connect_state = ${literal(formatGtidState(from.state))}, @slave_gtid_strict_mode = 0, @slave_gtid_ignore_duplicates = 0`,
      );
    }
    const commands = [registerReplica(serverId, `tailrace-${hostname()}`), dumpCommand(from, options)];
    return { stream: new BinlogStream(connection, commands, { silentAfterMs }), checksums: checksum !== "NONE" };
  } catch (error) {
    await connection.close();
    throw asSourceError(error);
  }
}

function dumpCommand({ by, place, set }: ReadFrom, { serverId, base }: DumpOptions): Buffer {
  if (by === "gtid") return set === undefined ? dumpFrom(serverId, "", 4) : dumpAfter(serverId, set);
  const beyond = place.offset > MOST_OFFSET;
  const file = `${base}${String(beyond ? place.file + 1 : place.file).padStart(6, "0")}`;
  return dumpFrom(serverId, file, beyond ? 4 : place.offset);
}

const EVENT_FOLLOWS = 0x00;
const ERROR = 0xff;
const END = 0xfe;

/** Where the event begins in a packet; null: the packet is the answer to a command. Throws what the server says. */
export function eventIn({ buffer, from, to }: Packet): number | null {
  switch (buffer[from]) {
    case EVENT_FOLLOWS:
      // The answer to the registration has the same first byte, and is shorter than any event.
      return to - from > HEADER_BYTES ? from + 1 : null;
    case ERROR: {
      const errno = buffer.readUInt16LE(from + 1);
      const hasState = buffer[from + 3] === 0x23;
      throw dumpError(errno, buffer.toString("utf8", from + (hasState ? 9 : 3), to));
    }
    case END:
      throw new TailraceError("source.unreachable", "the server ended the reading of its log");
    default:
      throw new TailraceError("source.protocol", `an unknown packet in the log: 0x${buffer[from]!.toString(16)}`);
  }
}

const FATAL_READING = 1236;

function dumpError(errno: number, message: string): TailraceError {
  if (errno !== FATAL_READING) return asSourceError(Object.assign(new Error(message), { errno, sqlState: "HY000" }));
  const said = `the server says: ${message}`;
  if (/same server_(uu)?id|same (slave|replica) server/i.test(message)) {
    return new TailraceError(
      "source.slot_busy",
      "another replica with the same number has connected: set a `server_id` of its own for each",
    );
  }
  if (/purged|could not find first log file|requires? .*(transactions|gtids?)|too old/i.test(message))
    return new TailraceError("source.gap.purged", said);
  if (
    /not in the master's binlog|> file size|impossible position|has more GTIDs|diverged|extra erroneous/i.test(message)
  )
    return new TailraceError("source.gap.cluster", said);
  if (/max_allowed_packet/i.test(message)) return new TailraceError("source.config", said);
  return new TailraceError("source.unreachable", said);
}

export interface LogStart {
  readonly file: number;
  /** The timestamp of the file's first event. */
  readonly begun: number;
}

/** Whether the server would send its log from there, and which file that is in. Throws the error with which it refuses. */
export async function probeDump(connection: Connection, from: ReadFrom, options: DumpOptions): Promise<LogStart> {
  const { stream, checksums } = await startDump(connection, from, options);
  const packets = new PacketReader();
  const header: Header = { timestamp: 0, type: 0, serverId: 0, size: 0, endPosition: 0, flags: 0 };
  let file = from.place.file;
  try {
    for (;;) {
      packets.push((await stream.next())!);
      for (let packet = packets.next(); packet !== null; packet = packets.next()) {
        const at = eventIn(packet);
        if (at === null) continue;
        readHeader(packet.buffer, at, header);
        if (header.type === EVENT.rotate) {
          const end = checksums ? packet.to - 4 : packet.to;
          file = fileNumber(packet.buffer.toString("latin1", at + HEADER_BYTES + 8, end));
        } else if (header.type === EVENT.formatDescription) return { file, begun: header.timestamp };
      }
    }
  } finally {
    await stream.close();
  }
}
