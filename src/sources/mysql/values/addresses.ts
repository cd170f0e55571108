// Types of MariaDB that are bytes in a row image and a text in a query.

/**
 * MariaDB stores the parts in reverse order, so that those made later sort later; but not of versions 6 and on, which sort so as they
 * are. Reversed, the variant's bit is in the seventh byte and the version in the ninth.
 */
export function uuidText(buffer: Buffer, at: number): string {
  const hex = buffer.toString("hex", at, at + 16);
  const version = buffer[at + 8]!;
  const reversed = (buffer[at + 6]! & 0x80) !== 0 && version > 0 && version <= 0x80;
  const parts = reversed
    ? [hex.slice(24, 32), hex.slice(20, 24), hex.slice(16, 20), hex.slice(12, 16), hex.slice(0, 12)]
    : [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20, 32)];
  return parts.join("-");
}

export function inet4Text(buffer: Buffer, at: number): string {
  return buffer.subarray(at, at + 4).join(".");
}

/** The longest run of zero groups, of one too, becomes `::`; the addresses that hold an IPv4 one end in it. */
export function inet6Text(buffer: Buffer, at: number): string {
  const groups = Array.from({ length: 8 }, (_, i) => buffer.readUInt16BE(at + 2 * i));
  let best = { start: -1, length: 0 };
  for (let start = 0; start < 8; start += 1) {
    let length = 0;
    while (start + length < 8 && groups[start + length] === 0) length += 1;
    if (length > best.length) best = { start, length };
  }
  const holdsIpv4 = best.start === 0 && (best.length === 6 || (best.length === 5 && groups[5] === 0xffff));
  const text = (from: number, to: number): string =>
    groups
      .slice(from, to)
      .map((group) => group.toString(16))
      .join(":");
  if (holdsIpv4) return `::${best.length === 5 ? "ffff:" : ""}${inet4Text(buffer, at + 12)}`;
  if (best.start < 0) return text(0, 8);
  return `${text(0, best.start)}::${text(best.start + best.length, 8)}`;
}
