// Numbers of row images as texts.

/** The shortest text that reads back as this double. `Number()` of a text that the server printed gives the same double. */
export function doubleText(value: number): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

/** The shortest text that reads back as this single-precision number. */
export function floatText(value: number): string {
  if (Object.is(value, -0)) return "-0";
  for (let digits = 6; digits < 9; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === value) return String(short);
  }
  return String(Number(value.toPrecision(9)));
}

/** Little-endian, as in row images. */
export function int64Text(buffer: Buffer, at: number): string {
  const high = buffer.readInt32LE(at + 4);
  if (high >= -0x200000 && high < 0x200000) return String(high * 0x1_0000_0000 + buffer.readUInt32LE(at));
  return String(buffer.readBigInt64LE(at));
}

export function uint64Text(buffer: Buffer, at: number): string {
  const high = buffer.readUInt32LE(at + 4);
  if (high < 0x200000) return String(high * 0x1_0000_0000 + buffer.readUInt32LE(at));
  return String(buffer.readBigUInt64LE(at));
}

/** A BIT(n), most significant byte first, as a number. */
export function bitText(buffer: Buffer, from: number, to: number): string {
  if (to - from <= 6) return String(to > from ? buffer.readUIntBE(from, to - from) : 0);
  return String(BigInt(`0x${buffer.toString("hex", from, to)}`));
}

const DIGITS_OF_WORD = 9;
const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4];

/** Bytes that a DECIMAL(precision, scale) takes. */
export function decimalBytes(precision: number, scale: number): number {
  const whole = precision - scale;
  return digitBytes(whole) + digitBytes(scale);
}

function digitBytes(digits: number): number {
  return Math.floor(digits / DIGITS_OF_WORD) * 4 + BYTES_OF_DIGITS[digits % DIGITS_OF_WORD]!;
}

/** Words of nine decimal digits, the first and the last one shorter, all inverted when negative, the top bit inverted always. */
export function decimalText(buffer: Buffer, from: number, precision: number, scale: number): string {
  const positive = (buffer[from]! & 0x80) !== 0;
  const mask = positive ? 0 : 0xff;
  let at = from;
  const read = (digits: number): string => {
    const bytes = BYTES_OF_DIGITS[digits]!;
    let value = 0;
    for (let i = 0; i < bytes; i += 1, at += 1) {
      const byte = (at === from ? buffer[at]! ^ 0x80 : buffer[at]!) ^ mask;
      value = value * 256 + byte;
    }
    return String(value).padStart(digits, "0");
  };
  const whole = precision - scale;
  let text = whole % DIGITS_OF_WORD > 0 ? read(whole % DIGITS_OF_WORD) : "";
  for (let left = Math.floor(whole / DIGITS_OF_WORD); left > 0; left -= 1) text += read(DIGITS_OF_WORD);
  text = text.replace(/^0+(?=.)/, "");
  if (text === "") text = "0";
  if (scale > 0) {
    text += ".";
    for (let left = Math.floor(scale / DIGITS_OF_WORD); left > 0; left -= 1) text += read(DIGITS_OF_WORD);
    if (scale % DIGITS_OF_WORD > 0) text += read(scale % DIGITS_OF_WORD);
  }
  return positive ? text : `-${text}`;
}
