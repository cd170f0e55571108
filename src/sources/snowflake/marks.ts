// Marks are times in ms since the epoch, of 13 digits until the year 2286.
import type { Mark } from "../../kit/feed/model-feed.ts";

const DIGITS = 13;

export function digitsOf(ms: number): string {
  return String(ms).padStart(DIGITS, "0");
}

/** `TTTTTTTTTTTTT_PPPPPPPPPPPPP`: what changed after P, up to T and with it. */
export function windowMark(from: number, upTo: number): Mark {
  return `${digitsOf(upTo)}_${digitsOf(from)}`;
}

export interface Window {
  readonly from: number;
  readonly upTo: number;
}

export function windowOf(mark: Mark): Window {
  return { upTo: Number(mark.slice(0, DIGITS)), from: Number(mark.slice(DIGITS + 1)) };
}

export function microseconds(ms: number): bigint {
  return BigInt(ms) * 1000n;
}

/** As SQL, to the millisecond, which is as exact as AT and END are. */
export function timestampSql(ms: number): string {
  return `'${new Date(ms).toISOString().replace("T", " ").replace("Z", " +0000")}'::TIMESTAMP_TZ`;
}
