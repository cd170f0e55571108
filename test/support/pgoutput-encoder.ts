// Encodes what a server with the pgoutput plugin sends: the decoder's counterpart, for tests.

export const UNSENT: unique symbol = Symbol("unsent");
export type Cell = string | null | typeof UNSENT;

export function uint(value: number | bigint, bytes: 1 | 2 | 4 | 8): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigUInt64BE(BigInt(value));
  return out.subarray(8 - bytes);
}

function text(value: string): Buffer {
  return Buffer.concat([Buffer.from(value), Buffer.alloc(1)]);
}

export function frame(kind: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(kind, "latin1"), uint(body.length + 4, 4), body]);
}

/** CopyData with one message of the plugin. The header's bytes mean nothing to us and are the hardest ones. */
export function data(payload: Buffer): Buffer {
  return frame("d", Buffer.concat([Buffer.from("w"), Buffer.alloc(24, 0xc3), payload]));
}

export function keepalive(walEnd: bigint, reply = false): Buffer {
  return frame("d", Buffer.concat([Buffer.from("k"), uint(walEnd, 8), uint(0, 8), uint(reply ? 1 : 0, 1)]));
}

export function begin(lsn: bigint, xid: number, clock = 0n): Buffer {
  return Buffer.concat([Buffer.from("B"), uint(lsn, 8), uint(clock, 8), uint(xid, 4)]);
}

export function commit(lsn: bigint, end: bigint, clock = 0n): Buffer {
  return Buffer.concat([Buffer.from("C"), uint(0, 1), uint(lsn, 8), uint(end, 8), uint(clock, 8)]);
}

export function relation(
  oid: number,
  name: string,
  columns: readonly { readonly name: string; readonly typeOid: number; readonly identity: boolean }[],
  identity = "d",
): Buffer {
  return Buffer.concat([
    Buffer.from("R"),
    uint(oid, 4),
    text("public"),
    text(name),
    Buffer.from(identity),
    uint(columns.length, 2),
    ...columns.flatMap((column) => [
      uint(column.identity ? 1 : 0, 1),
      text(column.name),
      uint(column.typeOid, 4),
      uint(0xffff_ffff, 4),
    ]),
  ]);
}

function tuple(mark: string, cells: readonly Cell[]): Buffer {
  const parts = [Buffer.from(mark), uint(cells.length, 2)];
  for (const cell of cells) {
    if (cell === null) parts.push(Buffer.from("n"));
    else if (cell === UNSENT) parts.push(Buffer.from("u"));
    else parts.push(Buffer.from("t"), uint(Buffer.byteLength(cell), 4), Buffer.from(cell));
  }
  return Buffer.concat(parts);
}

export function insert(oid: number, row: readonly Cell[]): Buffer {
  return Buffer.concat([Buffer.from("I"), uint(oid, 4), tuple("N", row)]);
}

export function update(
  oid: number,
  old: { readonly mark: "K" | "O"; readonly row: readonly Cell[] } | null,
  row: readonly Cell[],
): Buffer {
  const before = old ? [tuple(old.mark, old.row)] : [];
  return Buffer.concat([Buffer.from("U"), uint(oid, 4), ...before, tuple("N", row)]);
}

export function remove(oid: number, mark: "K" | "O", row: readonly Cell[]): Buffer {
  return Buffer.concat([Buffer.from("D"), uint(oid, 4), tuple(mark, row)]);
}

export function truncate(...oids: readonly number[]): Buffer {
  return Buffer.concat([Buffer.from("T"), uint(oids.length, 4), uint(0, 1), ...oids.map((oid) => uint(oid, 4))]);
}
