// The types of the binary log by the names that the catalogue gives them.
import type { TableColumn } from "../catalog.ts";
import { TYPE, type WireColumn } from "./types.ts";

const SPATIAL = [
  "geometry",
  "point",
  "linestring",
  "polygon",
  "multipoint",
  "multilinestring",
  "multipolygon",
  "geometrycollection",
  "geomcollection",
];

/** Types in the log by the catalogue's name. */
const TYPES = new Map<string, readonly number[]>([
  ["tinyint", [TYPE.tiny]],
  ["smallint", [TYPE.short]],
  ["mediumint", [TYPE.int24]],
  ["int", [TYPE.long]],
  ["bigint", [TYPE.longlong]],
  ["float", [TYPE.float]],
  ["double", [TYPE.double]],
  ["decimal", [TYPE.newdecimal]],
  ["bit", [TYPE.bit]],
  ["year", [TYPE.year]],
  ["date", [TYPE.date, TYPE.newdate]],
  ["datetime", [TYPE.datetime2, TYPE.datetime]],
  ["timestamp", [TYPE.timestamp2, TYPE.timestamp]],
  ["time", [TYPE.time2, TYPE.time]],
  ["char", [TYPE.string]],
  ["binary", [TYPE.string]],
  ["uuid", [TYPE.string]],
  ["inet6", [TYPE.string]],
  ["inet4", [TYPE.string]],
  ["varchar", [TYPE.varchar, TYPE.varString]],
  ["varbinary", [TYPE.varchar, TYPE.varString]],
  ["enum", [TYPE.enum]],
  ["set", [TYPE.set]],
  ["json", [TYPE.json]],
  ["vector", [TYPE.vector]],
  ...SPATIAL.map((name) => [name, [TYPE.geometry]] as const),
]);

/** Bytes of the length of a text or of bytes, by what the name ends in. */
const LENGTH_BYTES: Readonly<Record<string, number>> = { tiny: 1, "": 2, medium: 3, long: 4 };
const LARGE = /^(tiny|medium|long|)(text|blob)$/;

/** Whether a column of the log can be this one of the catalogue. */
export function couldBe({ type, meta }: WireColumn, column: TableColumn): boolean {
  const large = LARGE.exec(column.dataType);
  if (large) return type === TYPE.blob && meta === LENGTH_BYTES[large[1]!];
  if (!(TYPES.get(column.dataType) ?? []).includes(type)) return false;
  switch (type) {
    case TYPE.newdecimal:
      return meta >> 8 === column.length && (meta & 0xff) === column.scale;
    case TYPE.varchar:
      return meta === column.length;
    case TYPE.string:
      return column.length === null || meta === column.length;
    default:
      return true;
  }
}

const TEXT_NAMES = ["", "tinytext", "text", "mediumtext", "longtext"];
const BLOB_NAMES = ["", "tinyblob", "blob", "mediumblob", "longblob"];

/** A name for a column that the catalogue does not have any more. */
export function typeNameOf({ type, meta }: WireColumn, charset: string): string {
  const isBinary = charset === "binary";
  switch (type) {
    case TYPE.blob:
      return (isBinary ? BLOB_NAMES : TEXT_NAMES)[meta] ?? "longblob";
    case TYPE.string:
      return isBinary ? "binary" : "char";
    case TYPE.varchar:
    case TYPE.varString:
      return isBinary ? "varbinary" : "varchar";
    default:
      return [...TYPES].find(([, types]) => types.includes(type))?.[0] ?? "unknown";
  }
}
