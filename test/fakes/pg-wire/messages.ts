// Messages of PostgreSQL's protocol 3.0, server's side: postgresql.org/docs/current/protocol-message-formats.html
import { Buffer } from "node:buffer";

export interface Field {
  readonly name: string;
  readonly oid: number;
}

export interface Answer {
  readonly fields: readonly Field[];
  readonly rows: readonly (readonly (string | null)[])[];
  /** `SELECT 3`, `BEGIN` */
  readonly tag: string;
}

/** What the server answers with an ErrorResponse. */
export class WireRefusal extends Error {
  readonly sqlState: string;

  constructor(sqlState: string, message: string) {
    super(message);
    this.sqlState = sqlState;
  }
}

export function message(type: string, body: Buffer = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(5);
  head.write(type, 0, "latin1");
  head.writeInt32BE(body.length + 4, 1);
  return Buffer.concat([head, body]);
}

export function text(value: string): Buffer {
  return Buffer.from(`${value}\0`);
}

export function int(value: number, bytes: 2 | 4): Buffer {
  const buffer = Buffer.alloc(bytes);
  buffer.writeIntBE(value, 0, bytes);
  return buffer;
}

export function rowDescription(fields: readonly Field[]): Buffer {
  const parts = fields.map(({ name, oid }) =>
    Buffer.concat([text(name), int(0, 4), int(0, 2), int(oid, 4), int(-1, 2), int(-1, 4), int(0, 2)]),
  );
  return message("T", Buffer.concat([int(fields.length, 2), ...parts]));
}

export function dataRow(row: readonly (string | null)[]): Buffer {
  const parts = row.map((value) => {
    if (value === null) return int(-1, 4);
    const bytes = Buffer.from(value);
    return Buffer.concat([int(bytes.length, 4), bytes]);
  });
  return message("D", Buffer.concat([int(row.length, 2), ...parts]));
}

export function errorResponse(error: unknown): Buffer {
  const [state, said] = error instanceof WireRefusal ? [error.sqlState, error.message] : ["XX000", String(error)];
  return message("E", Buffer.concat([text(`SERROR`), text(`VERROR`), text(`C${state}`), text(`M${said}`), text("")]));
}
