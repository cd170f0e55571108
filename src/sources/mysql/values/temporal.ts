// Dates and times of row images, as the server prints them.
// Nothing here is a Date: a date may be 0000-00-00 or 2024-02-00, and microseconds count.

const TWO = Array.from({ length: 100 }, (_, value) => String(value).padStart(2, "0"));

function year(value: number): string {
  return value > 999 ? String(value) : String(value).padStart(4, "0");
}

function dateOf(years: number, months: number, days: number): string {
  return `${year(years)}-${TWO[months]}-${TWO[days]}`;
}

function timeOf(hours: number, minutes: number, seconds: number): string {
  return `${TWO[hours]}:${TWO[minutes]}:${TWO[seconds]}`;
}

/** Bytes of a fraction of so many digits. */
export function fractionBytes(digits: number): number {
  return (digits + 1) >> 1;
}

/** `.123`, from a fraction stored in hundredths, ten-thousandths or millionths. */
function fraction(buffer: Buffer, at: number, digits: number): string {
  if (digits === 0) return "";
  const bytes = fractionBytes(digits);
  return micros(buffer.readUIntBE(at, bytes) * 100 ** (3 - bytes), digits);
}

function micros(value: number, digits: number): string {
  return digits === 0 ? "" : `.${String(value).padStart(6, "0").slice(0, digits)}`;
}

export function dateText(buffer: Buffer, at: number): string {
  const packed = buffer.readUIntLE(at, 3);
  return dateOf(packed >> 9, (packed >> 5) & 15, packed & 31);
}

/** DATETIME(digits): 5 bytes, then the fraction. */
export function datetimeText(buffer: Buffer, at: number, digits: number): string {
  const packed = buffer.readUIntBE(at, 5) - 0x80_0000_0000;
  const time = packed % 0x20000;
  const days = (packed - time) / 0x20000;
  const months = days >> 5;
  const date = dateOf(Math.floor(months / 13), months % 13, days & 31);
  return `${date} ${timeOf(time >> 12, (time >> 6) & 63, time & 63)}${fraction(buffer, at + 5, digits)}`;
}

/** TIMESTAMP(digits): seconds since the epoch, then the fraction. In UTC; 0 is the zero date. */
export function timestampText(buffer: Buffer, at: number, digits: number): string {
  return secondsText(buffer.readUInt32BE(at)) + fraction(buffer, at + 4, digits);
}

/** `2024-02-29 12:34:56`, in UTC. */
export function secondsText(seconds: number): string {
  if (seconds === 0) return "0000-00-00 00:00:00";
  const daySeconds = seconds % 86_400;
  // Days since 0000-03-01, in eras of 400 years.
  const days = (seconds - daySeconds) / 86_400 + 719_468;
  const era = Math.floor(days / 146_097);
  const ofEra = days - era * 146_097;
  const yearOfEra = Math.floor(
    (ofEra - Math.floor(ofEra / 1460) + Math.floor(ofEra / 36_524) - Math.floor(ofEra / 146_096)) / 365,
  );
  const dayOfYear = ofEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const shifted = Math.floor((5 * dayOfYear + 2) / 153);
  const month = shifted < 10 ? shifted + 3 : shifted - 9;
  const day = dayOfYear - Math.floor((153 * shifted + 2) / 5) + 1;
  const date = dateOf(yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day);
  return `${date} ${timeOf(Math.floor(daySeconds / 3600), Math.floor(daySeconds / 60) % 60, daySeconds % 60)}`;
}

/** TIME(digits): hours up to 838, negative ones too, biased so that the bytes compare as the times do. */
export function timeText(buffer: Buffer, at: number, digits: number): string {
  const bytes = fractionBytes(digits);
  const unit = 256 ** bytes;
  const packed = buffer.readUIntBE(at, 3 + bytes) - 0x80_0000 * unit;
  const size = Math.abs(packed);
  const part = size % unit;
  return intervalText(packed < 0, (size - part) / unit, part * 100 ** (3 - bytes), digits);
}

function intervalText(negative: boolean, packed: number, fractionMicros: number, digits: number): string {
  const hours = packed >> 12;
  const sign = negative ? "-" : "";
  const wide = hours > 99 ? String(hours) : TWO[hours]!;
  return `${sign}${wide}:${TWO[(packed >> 6) & 63]}:${TWO[packed & 63]}${micros(fractionMicros, digits)}`;
}

/** DATETIME of a table that is older than MySQL 5.6: the digits of YYYYMMDDhhmmss as one number. */
export function oldDatetimeText(buffer: Buffer, at: number): string {
  const high = buffer.readUInt32LE(at + 4);
  const value = high * 0x1_0000_0000 + buffer.readUInt32LE(at);
  const time = value % 1_000_000;
  const date = (value - time) / 1_000_000;
  const clock = timeOf(Math.floor(time / 10_000), Math.floor(time / 100) % 100, time % 100);
  return `${dateOf(Math.floor(date / 10_000), Math.floor(date / 100) % 100, date % 100)} ${clock}`;
}

/** TIME of a table that is older than MySQL 5.6: hhmmss as one number. */
export function oldTimeText(buffer: Buffer, at: number): string {
  const value = buffer.readIntLE(at, 3);
  const size = Math.abs(value);
  return intervalText(
    value < 0,
    (Math.floor(size / 10_000) << 12) | ((Math.floor(size / 100) % 100) << 6) | (size % 100),
    0,
    0,
  );
}

/** The 8 bytes in which MySQL keeps a time, a date or both inside of JSON: 24 bits of fraction below the packed value. */
export function packedText(kind: "date" | "time" | "datetime", packed: bigint): string {
  const negative = packed < 0n;
  const size = negative ? -packed : packed;
  const fractionMicros = Number(size & 0xffffffn);
  const value = Number(size >> 24n);
  if (kind === "time") return intervalText(negative, value, fractionMicros, 6);
  const time = value % 0x20000;
  const days = (value - time) / 0x20000;
  const months = days >> 5;
  const date = dateOf(Math.floor(months / 13), months % 13, days & 31);
  return kind === "date"
    ? date
    : `${date} ${timeOf(time >> 12, (time >> 6) & 63, time & 63)}${micros(fractionMicros, 6)}`;
}
