import * as z from "zod";
import { DURATION, durationMs, PERCENT, percentShare, RATE, ratePerSecond, SIZE, sizeBytes } from "./units.ts";

/** What values of the configuration are made of. */

export const NAME = /^[a-z][a-z0-9_-]{0,62}$/;

/** As far as a timer reaches. */
const LONGEST_INTERVAL_MS = 24 * 86_400_000;

export const name = z
  .string()
  .regex(NAME)
  .meta({ wanted: "a name of a-z, 0-9, `_` and `-` that begins with a letter and has at most 63 characters" });

export const duration = z
  .string()
  .regex(DURATION)
  .transform(durationMs)
  .pipe(z.number().max(3_600_000))
  .meta({ wanted: "a duration of at most an hour", examples: ["20ms", "5s", "1m"] });

export const longTime = z
  .string()
  .regex(DURATION)
  .transform(durationMs)
  .pipe(z.number().min(1))
  .meta({ wanted: "a duration", examples: ["30d", "12h"] });

export const interval = z
  .string()
  .regex(DURATION)
  .transform(durationMs)
  .pipe(z.number().min(1000).max(LONGEST_INTERVAL_MS))
  .meta({ wanted: "a duration from a second to 24 days", examples: ["5m"] });

export const size = z
  .string()
  .regex(SIZE)
  .transform(sizeBytes)
  .pipe(z.number().min(1))
  .meta({ wanted: "a size", examples: ["1MB", "512KB"] });

export const rate = z
  .string()
  .regex(RATE)
  .transform(ratePerSecond)
  .pipe(z.number().positive())
  .meta({ wanted: "a rate", examples: ["50/s", "600/min"] });

export const countOrShare = z
  .union([
    z
      .int()
      .min(0)
      .transform((rows) => ({ kind: "rows" as const, rows })),
    z
      .string()
      .regex(PERCENT)
      .transform((written) => ({ kind: "share" as const, share: percentShare(written) }))
      .refine(({ share }) => share <= 1),
  ])
  .meta({ wanted: "a share of at most 100%, or a number of records", examples: ["30%", 500] });

export const text = z.string().min(1);
export const column = text.meta({ wanted: "a column's name" });
export const constant = z
  .union([z.string(), z.number(), z.boolean(), z.null()])
  .meta({ wanted: "a text, a number, true, false or null" });
