// What a replica says to its primary: commands of the client protocol, each a packet of its own.
import { type GtidSet, encodeGtidSet } from "../gtid-set.ts";

const REGISTER_SLAVE = 0x15;
const BINLOG_DUMP = 0x12;
const BINLOG_DUMP_GTID = 0x1e;
/** To begin with the events after a set of transactions, not at a file and an offset. */
const THROUGH_GTID = 0x04;

function packet(payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  return Buffer.concat([header, payload]);
}

/** Lists us with `SHOW REPLICA HOSTS`. */
export function registerReplica(serverId: number, host: string): Buffer {
  const name = Buffer.from(host.slice(0, 60));
  const payload = Buffer.alloc(1 + 4 + 1 + name.length + 1 + 1 + 2 + 4 + 4);
  payload.writeUInt8(REGISTER_SLAVE, 0);
  payload.writeUInt32LE(serverId, 1);
  payload.writeUInt8(name.length, 5);
  name.copy(payload, 6);
  return packet(payload);
}

/** Events from an offset of a file on; an empty file name where the session says from which GTIDs on (MariaDB). */
export function dumpFrom(serverId: number, file: string, offset: number): Buffer {
  const name = Buffer.from(file);
  const payload = Buffer.alloc(11 + name.length);
  payload.writeUInt8(BINLOG_DUMP, 0);
  payload.writeUInt32LE(offset, 1);
  payload.writeUInt32LE(serverId, 7);
  name.copy(payload, 11);
  return packet(payload);
}

/** Events of every transaction that is not in the set (MySQL). */
export function dumpAfter(serverId: number, done: GtidSet): Buffer {
  const set = encodeGtidSet(done);
  const payload = Buffer.alloc(11 + 4 + 8 + 4);
  payload.writeUInt8(BINLOG_DUMP_GTID, 0);
  payload.writeUInt16LE(THROUGH_GTID, 1);
  payload.writeUInt32LE(serverId, 3);
  payload.writeUInt32LE(0, 7);
  payload.writeBigUInt64LE(4n, 11);
  payload.writeUInt32LE(set.length, 19);
  return packet(Buffer.concat([payload.subarray(0, 23), set]));
}
