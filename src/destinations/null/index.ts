import * as z from "zod";
import { DELIVERED, defineDestination } from "../../contracts/destination.ts";
import type { Delivery, Destination, Outcome, Writer } from "../../contracts/destination.ts";
import type { Log } from "../../contracts/log.ts";

const settings = z
  .strictObject({
    encode: z
      .boolean()
      .default(true)
      .describe("Write each record as JSON before it is dropped, so that a measurement includes the mapping."),
    batch: z
      .strictObject({
        rows: z.int().min(1).max(100_000).default(1000).describe("Rows in a batch at most."),
        bytes: z.int().min(1024).default(4_194_304).describe("Bytes in a batch at most."),
      })
      .prefault({})
      .describe("How large a batch may get."),
  })
  .describe("Takes every row and keeps none: for measuring.");

/** Takes every row and keeps none. It counts, and says so at the end, so that a benchmark can tell that the work was done. */
export class NullDestination implements Destination {
  readonly limits;
  readonly capabilities = {
    modes: ["upsert", "mirror", "insert", "update", "event"],
    deletes: ["delete", "archive", "clear", "ignore"],
    partialUpdates: true,
    idempotencyKey: true,
  } as const;
  /** Rows taken by every sync since this destination was made. */
  rows = 0;
  /** UTF-16 code units of JSON that were written and dropped; 0 without `encode`. */
  encodedLength = 0;
  readonly #encode: boolean;
  readonly #log: Log | null;
  #lastAtMs = 0;

  constructor(options: z.output<typeof settings>, log: Log | null = null) {
    this.#encode = options.encode;
    this.#log = log;
    this.limits = {
      batchRows: options.batch.rows,
      batchBytes: options.batch.bytes,
      concurrency: 4,
      perSecond: null,
      batchAgeMs: 0,
    };
  }

  check(): Promise<readonly []> {
    return Promise.resolve([]);
  }

  open(): Promise<Writer> {
    const write = (batch: readonly Delivery[]): readonly Outcome[] => {
      if (this.#encode) for (const delivery of batch) this.encodedLength += delivery.record.json().length;
      this.#lastAtMs = performance.timeOrigin + performance.now();
      this.rows += batch.length;
      return batch.map(() => DELIVERED);
    };
    return Promise.resolve({
      // Settles in a turn of its own, as a destination with a network does.
      write: async (batch: readonly Delivery[]) => write(batch),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    if (this.rows > 0) this.#log?.info("rows taken", { rows: this.rows, lastAtMs: this.#lastAtMs });
    return Promise.resolve();
  }
}

export default defineDestination({
  type: "null",
  title: "Null (takes every row, keeps none)",
  settings,
  sync: z.strictObject({}).describe("The null destination has no options."),
  create: (options, { log }) => new NullDestination(options, log),
});
