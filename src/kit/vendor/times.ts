const TIME = /^(\d{4}-\d\d-\d\d)[ T](\d\d:\d\d:\d\d(?:\.\d+)?)(Z|[+-]\d\d(?::?\d\d)?)?$/;

/**
 * A database's time as ISO 8601 has it, every digit kept: `2026-01-02 03:04:05.123456+00` → `2026-01-02T03:04:05.123456Z`. One without a
 * zone is taken for UTC. What is no time (`infinity`, a year of five digits) stays as it is, for the vendor to refuse.
 */
export function isoTime(text: string): string {
  const [, date, time, zone = "Z"] = TIME.exec(text) ?? [];
  if (date === undefined || time === undefined) return text;
  return `${date}T${time}${isoZone(zone)}`;
}

function isoZone(zone: string): string {
  const digits = zone.slice(1).replace(":", "");
  if (/^0*$/.test(digits)) return "Z";
  return `${zone[0]}${digits.slice(0, 2)}:${digits.slice(2) || "00"}`;
}

/** Whether a source's type is a date with a time of day. */
export function isTimestamp(type: string | null): boolean {
  return type !== null && /^(timestamp|datetime)/i.test(type);
}

/**
 * A database's time or date as whole seconds since the epoch; digits alone are taken for such seconds. null: it is no time. One without a zone
 * is taken for UTC.
 */
export function unixSeconds(text: string): string | null {
  if (/^-?\d{1,12}$/.test(text)) return text;
  if (!TIME.test(text) && !/^\d{4}-\d\d-\d\d$/.test(text)) return null;
  const ms = Date.parse(isoTime(text));
  return Number.isNaN(ms) ? null : String(Math.floor(ms / 1000));
}
