// Texts of a column's character set.
import { TailraceError } from "../../../contracts/errors.ts";

export type DecodeText = (buffer: Buffer, from: number, to: number) => string;

const UTF8: DecodeText = (buffer, from, to) => buffer.toString("utf8", from, to);

const windows1252 = new TextDecoder("windows-1252");
// The bytes between are all that ISO 8859-1 has otherwise.
const LATIN1: DecodeText = (buffer, from, to) => {
  const text = buffer.toString("latin1", from, to);
  return /[\x80-\x9f]/.test(text) ? windows1252.decode(buffer.subarray(from, to)) : text;
};

// MySQL's names, and those of the Encoding Standard.
const LABELS: Readonly<Record<string, string>> = {
  latin2: "iso-8859-2",
  latin5: "iso-8859-9",
  latin7: "iso-8859-13",
  cp1250: "windows-1250",
  cp1251: "windows-1251",
  cp1256: "windows-1256",
  cp1257: "windows-1257",
  cp866: "ibm866",
  greek: "iso-8859-7",
  hebrew: "iso-8859-8",
  koi8r: "koi8-r",
  koi8u: "koi8-u",
  macroman: "macintosh",
  tis620: "windows-874",
  gb2312: "gbk",
  gbk: "gbk",
  gb18030: "gb18030",
  big5: "big5",
  sjis: "shift_jis",
  cp932: "shift_jis",
  ujis: "euc-jp",
  eucjpms: "euc-jp",
  euckr: "euc-kr",
  ucs2: "utf-16be",
  utf16: "utf-16be",
  utf16le: "utf-16le",
};

const known = new Map<string, DecodeText>([
  ["utf8mb4", UTF8],
  ["utf8mb3", UTF8],
  ["utf8", UTF8],
  ["ascii", UTF8],
  ["latin1", LATIN1],
  ["binary", (buffer, from, to) => buffer.toString("base64", from, to)],
  ["utf32", utf32],
]);

/** `binary` makes base64. Throws `source.model` for a character set that is not known. */
export function textDecoder(charset: string): DecodeText {
  let decode = known.get(charset);
  if (decode === undefined) {
    const label = LABELS[charset];
    if (label === undefined)
      throw new TailraceError("source.model", `columns of character set ${charset} cannot be read from the binary log`);
    const decoder = new TextDecoder(label, { ignoreBOM: true });
    decode = (buffer, from, to) => (to === from ? "" : decoder.decode(buffer.subarray(from, to)));
    known.set(charset, decode);
  }
  return decode;
}

function utf32(buffer: Buffer, from: number, to: number): string {
  let text = "";
  for (let at = from; at + 4 <= to; at += 4) text += String.fromCodePoint(buffer.readUInt32BE(at));
  return text;
}
