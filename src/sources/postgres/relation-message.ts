import { type Bytes, uint32At } from "./wire.ts";

/** A table as the stream announces it, before the rows that have that shape. */
export interface RelationMessage {
  readonly oid: number;
  readonly namespace: string;
  readonly name: string;
  /** `d` default, `n` nothing, `f` full, `i` an index. */
  readonly identity: string;
  readonly columns: readonly RelationMessageColumn[];
}

export interface RelationMessageColumn {
  readonly name: string;
  readonly typeOid: number;
  /** Part of the replica identity; with FULL every column is. */
  readonly identity: boolean;
}

export function readRelation(bytes: Bytes, at: number): RelationMessage {
  const oid = uint32At(bytes, at);
  const namespaceEnd = bytes.indexOf(0, at + 4);
  const nameEnd = bytes.indexOf(0, namespaceEnd + 1);
  const count = (bytes[nameEnd + 2]! << 8) | bytes[nameEnd + 3]!;
  const columns: RelationMessageColumn[] = [];
  let next = nameEnd + 4;
  for (let i = 0; i < count; i += 1) {
    const end = bytes.indexOf(0, next + 1);
    columns.push({
      name: bytes.utf8Slice(next + 1, end),
      typeOid: uint32At(bytes, end + 1),
      identity: (bytes[next]! & 1) === 1,
    });
    next = end + 9;
  }
  return {
    oid,
    // The server leaves out the name of its own schema.
    namespace: bytes.utf8Slice(at + 4, namespaceEnd) || "pg_catalog",
    name: bytes.utf8Slice(namespaceEnd + 1, nameEnd),
    identity: String.fromCharCode(bytes[nameEnd + 1]!),
    columns,
  };
}
