/** Texts with a unit, as the configuration writes them. Each parser takes only what its pattern matches. */

export const DURATION = /^(\d+(?:\.\d+)?)\s*(ms|s|m|min|h|d)$/;
export const SIZE = /^(\d+(?:\.\d+)?)\s*(B|KB|MB|GB|KiB|MiB|GiB)$/;
export const RATE = /^(\d+(?:\.\d+)?)\s*\/\s*(s|sec|second|m|min|minute|h|hour)$/;
export const PERCENT = /^(\d+(?:\.\d+)?)\s*(%)$/;

const MS: Record<string, number> = { ms: 1, s: 1000, m: 60_000, min: 60_000, h: 3_600_000, d: 86_400_000 };
const BYTES: Record<string, number> = {
  B: 1,
  KB: 1000,
  MB: 1_000_000,
  GB: 1_000_000_000,
  KiB: 1024,
  MiB: 1024 ** 2,
  GiB: 1024 ** 3,
};
const SECONDS: Record<string, number> = { s: 1, sec: 1, second: 1, m: 60, min: 60, minute: 60, h: 3600, hour: 3600 };

/** `20ms` → 20, `1m` → 60000. */
export function durationMs(text: string): number {
  const [amount, unit] = parts(DURATION, text);
  return Math.round(amount * (MS[unit] ?? 1));
}

/** `1MB` → 1000000, `1MiB` → 1048576. */
export function sizeBytes(text: string): number {
  const [amount, unit] = parts(SIZE, text);
  return Math.round(amount * (BYTES[unit] ?? 1));
}

/** `50/s` → 50, `600/min` → 10: a second. */
export function ratePerSecond(text: string): number {
  const [amount, unit] = parts(RATE, text);
  return amount / (SECONDS[unit] ?? 1);
}

/** `30%` → 0.3. */
export function percentShare(text: string): number {
  return parts(PERCENT, text)[0] / 100;
}

function parts(pattern: RegExp, text: string): [number, string] {
  const match = pattern.exec(text);
  return [Number(match?.[1]), match?.[2] ?? ""];
}
