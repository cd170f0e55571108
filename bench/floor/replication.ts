// The least that reading a slot takes: a connection, START_REPLICATION, and an answer now and then.
import type { Socket } from "node:net";
import pg from "pg";

export interface Reading {
  readonly url: string;
  readonly slot: string;
  readonly publication: string;
  /** Rows after which the reader is done. */
  readonly rows: number;
}

/** What the engine asks for, too. */
export const PLUGIN_OPTIONS = { proto_version: "1", messages: "on" } as const;

const STATUS_MS = 5000;

/** The socket of a replication stream that has been asked for: what arrives are the server's messages. */
export async function openReplication({ url, slot, publication }: Omit<Reading, "rows">): Promise<Socket> {
  const settings = { connectionString: url, replication: "database" };
  const client = new pg.Client(settings);
  await client.connect();
  const socket = (client as unknown as { connection: { stream: Socket } }).connection.stream;
  socket.removeAllListeners("data");
  const options = `proto_version '${PLUGIN_OPTIONS.proto_version}', publication_names '"${publication}"', messages '${PLUGIN_OPTIONS.messages}'`;
  const text = `START_REPLICATION SLOT "${slot}" LOGICAL 0/0 (${options})`;
  const query = Buffer.alloc(text.length + 6);
  query.write("Q");
  query.writeInt32BE(text.length + 5, 1);
  query.write(text, 5);
  socket.write(query);
  // Says that we are here, and acknowledges nothing.
  const status = Buffer.alloc(39);
  status.write("d");
  status.writeInt32BE(38, 1);
  status.write("r", 5);
  setInterval(() => socket.write(status), STATUS_MS).unref();
  return socket;
}

/** Calls `message` with each whole message: the buffer, where it starts (its kind), and where it ends. */
export function framed(message: (bytes: Buffer, from: number, to: number) => void): (chunk: Buffer) => void {
  let rest: Buffer | null = null;
  return (chunk) => {
    const bytes: Buffer = rest === null ? chunk : Buffer.concat([rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 5) {
      const to = at + 1 + bytes.readInt32BE(at + 1);
      if (to > bytes.length) break;
      if (bytes[at] === 0x45) throw new Error(`the server says: ${bytes.toString("latin1", at + 5, to)}`);
      message(bytes, at, to);
      at = to;
    }
    rest = at === bytes.length ? null : bytes.subarray(at);
  };
}

/** Whether the message is a row of the changelog: CopyData, XLogData, Insert. */
export function isInsert(bytes: Buffer, from: number): boolean {
  return bytes[from] === 0x64 && bytes[from + 5] === 0x77 && bytes[from + 30] === 0x49;
}
