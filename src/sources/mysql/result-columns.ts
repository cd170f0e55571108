// The columns of a query by what the server says of its result.
import type { ResultColumn } from "./connection.ts";
import { type ReadColumn, readColumn } from "./columns.ts";
import { TYPE } from "./wire/types.ts";

const NOT_NULL = 1;
const UNSIGNED = 32;
const ENUM = 256;
const SET = 2048;
const BINARY_CHARSET = 63;

const NAMES: Readonly<Record<number, string>> = {
  [TYPE.tiny]: "tinyint",
  [TYPE.short]: "smallint",
  [TYPE.int24]: "mediumint",
  [TYPE.long]: "int",
  [TYPE.longlong]: "bigint",
  [TYPE.float]: "float",
  [TYPE.double]: "double",
  [TYPE.decimal]: "decimal",
  [TYPE.newdecimal]: "decimal",
  [TYPE.bit]: "bit",
  [TYPE.year]: "year",
  [TYPE.date]: "date",
  [TYPE.newdate]: "date",
  [TYPE.datetime]: "datetime",
  [TYPE.timestamp]: "timestamp",
  [TYPE.time]: "time",
  [TYPE.json]: "json",
  [TYPE.geometry]: "geometry",
};

export function resultColumn({ name, type, charset, flags }: ResultColumn): ReadColumn {
  const isBinary = charset === BINARY_CHARSET;
  const text = isBinary ? "varbinary" : "varchar";
  const dataType = (flags & ENUM) !== 0 ? "varchar" : (flags & SET) !== 0 ? "set" : (NAMES[type] ?? text);
  const isText = dataType === "varbinary" || dataType === "geometry";
  return readColumn({
    name,
    dataType,
    columnType: dataType,
    unsigned: (flags & UNSIGNED) !== 0,
    charset: isText ? "binary" : null,
    nullable: (flags & NOT_NULL) === 0,
    generated: "",
    isJson: dataType === "json",
    members: [],
    length: null,
    scale: null,
  });
}
