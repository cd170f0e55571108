import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import * as z from "zod";
import { DELIVERED, defineDestination } from "../../contracts/destination.ts";
import type { Delivery, Destination, DestinationContext, Target, Writer } from "../../contracts/destination.ts";
import type { Finding } from "../../contracts/finding.ts";
import { EnvelopeWriter } from "../../kit/envelope.ts";
import { RotatingFile } from "./rotating-file.ts";

const settings = z
  .strictObject({
    path: z.string().min(1).describe("The folder that the files go to; made when it is missing."),
    rotate: z
      .strictObject({
        bytes: z
          .int()
          .min(1024)
          .default(67_108_864)
          .describe("A file that has grown to this size is finished. Default 64 MB."),
        seconds: z
          .int()
          .min(1)
          .max(604_800)
          .optional()
          .describe("A file is finished this long after its first row. Default: only by size."),
      })
      .prefault({})
      .describe("When a file is finished and gets its final name. It is, too, when Tailrace ends."),
  })
  .describe("Writes rows to files of one JSON object a line.");

type FileSettings = z.output<typeof settings>;

class FileDestination implements Destination {
  readonly limits = { batchRows: 2000, batchBytes: 4_194_304, concurrency: 4, perSecond: null, batchAgeMs: 0 };
  readonly capabilities = {
    modes: ["upsert", "mirror", "insert", "update", "event"],
    deletes: ["delete", "archive", "clear", "ignore"],
    partialUpdates: false,
    // A repeat is a second line with the same id: the reader drops it.
    idempotencyKey: false,
  } as const;
  readonly #settings: FileSettings;
  readonly #folder: string;
  readonly #context: DestinationContext;

  constructor(options: FileSettings, context: DestinationContext) {
    this.#settings = options;
    this.#folder = resolve(context.baseDirectory, options.path);
    this.#context = context;
  }

  async check(): Promise<readonly Finding[]> {
    // The folder, or the nearest one above it that is there: what is missing is made.
    let folder = this.#folder;
    let found = await stat(folder).catch(() => null);
    while (found === null && dirname(folder) !== folder) {
      folder = dirname(folder);
      found = await stat(folder).catch(() => null);
    }
    const error = (message: string, fix: string): Finding => ({ level: "error", code: "file.path", message, fix });
    if (found?.isDirectory() !== true) return [error(`${folder} is not a folder.`, "Set `path` to a folder.")];
    const writable = await access(folder, constants.W_OK | constants.X_OK).then(
      () => true,
      () => false,
    );
    if (writable) return [];
    return [
      error(
        `${folder} cannot be written to.`,
        "Give the user that runs Tailrace the right to write there, or set another `path`.",
      ),
    ];
  }

  async open(target: Target): Promise<Writer> {
    const { bytes, seconds } = this.#settings.rotate;
    const file = new RotatingFile({
      folder: this.#folder,
      name: target.sync,
      rotateBytes: bytes,
      rotateMs: seconds === undefined ? null : seconds * 1000,
      log: this.#context.log,
    });
    await file.open();
    const envelope = new EnvelopeWriter(target.sync);
    return {
      write: async (batch: readonly Delivery[], signal: AbortSignal) => {
        signal.throwIfAborted();
        let text = "";
        for (const delivery of batch) text += `${envelope.write(delivery)}\n`;
        await file.append(Buffer.from(text));
        return batch.map(() => DELIVERED);
      },
      [Symbol.asyncDispose]: () => file[Symbol.asyncDispose](),
    };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }
}

export default defineDestination({
  type: "file",
  title: "Files (NDJSON)",
  settings,
  sync: z.strictObject({}).describe("The file destination has no options for a sync."),
  create: (options, context) => new FileDestination(options, context),
});
