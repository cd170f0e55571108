import { constants } from "node:fs";
import { mkdir, open, rename, stat, unlink } from "node:fs/promises";
import type { FileHandle } from "node:fs/promises";
import { join } from "node:path";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";

export interface RotatingFileOptions {
  readonly folder: string;
  /** `.NAME.ndjson.part` while it grows, `NAME-TIME.ndjson` when it is finished. */
  readonly name: string;
  readonly rotateBytes: number;
  /** null: by size alone. */
  readonly rotateMs: number | null;
  readonly log: Log;
}

/**
 * Whole lines appended to one file, which gets its final name in one step: whoever reads the folder sees finished files
 * only. One writer a name. Calls may overlap; they are done in turn.
 */
export class RotatingFile implements AsyncDisposable {
  readonly #options: RotatingFileOptions;
  readonly #part: string;
  #handle: FileHandle | null = null;
  /** Bytes that are on the disk for certain; null: to be found by looking for the last whole line. */
  #durableBytes: number | null = null;
  #turn: Promise<unknown> = Promise.resolve();
  #timer: NodeJS.Timeout | null = null;
  #lastStamp = "";

  constructor(options: RotatingFileOptions) {
    this.#options = options;
    this.#part = join(options.folder, `.${options.name}.ndjson.part`);
  }

  /** Makes the folder and the file; a line that was cut off by a crash is taken away. */
  async open(): Promise<void> {
    await this.#inTurn(() => this.#opened());
  }

  /**
   * Durable when it resolves. When it rejects, nothing of `lines` stays in the file.
   * @throws TailraceError `destination.unavailable` (disk full, file gone), `destination.config` (no right to write).
   */
  async append(lines: Buffer): Promise<void> {
    await this.#inTurn(() => this.#append(lines));
  }

  /** Finishes the file. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.#inTurn(async () => {
      if (this.#handle !== null) await this.#rotate();
    });
  }

  async #append(lines: Buffer): Promise<void> {
    const handle = await this.#opened();
    const start = this.#durableBytes ?? 0;
    try {
      let done = 0;
      while (done < lines.length) {
        const { bytesWritten } = await handle.write(lines, done, lines.length - done, start + done);
        done += bytesWritten;
      }
      await handle.datasync();
      const [ours, there] = await Promise.all([handle.stat(), stat(this.#part).catch(() => null)]);
      // Moved or deleted by somebody else: what we wrote is not where it will be looked for.
      if (there?.ino !== ours.ino || there.dev !== ours.dev) {
        this.#durableBytes = null;
        throw Object.assign(new Error("the file was moved or deleted"), { code: "ENOENT" });
      }
    } catch (error) {
      // After a failed write or sync only the bytes that were durable before it can be trusted; #opened cuts to them.
      await this.#abandon();
      throw error;
    }
    this.#durableBytes = start + lines.length;
    if (start === 0) this.#startTimer();
    if (this.#durableBytes >= this.#options.rotateBytes) await this.#rotateQuietly();
  }

  async #opened(): Promise<FileHandle> {
    if (this.#handle !== null) return this.#handle;
    const { folder } = this.#options;
    await mkdir(folder, { recursive: true });
    const handle = await open(this.#part, constants.O_RDWR | constants.O_CREAT, 0o640);
    try {
      const { size } = await handle.stat();
      const known = this.#durableBytes;
      const keep = known !== null && known <= size ? known : await lastLineEnd(handle, size);
      if (keep < size) {
        await handle.truncate(keep);
        await handle.datasync();
        if (known === null)
          this.#options.log.warn("cut off an unfinished line", { file: this.#part, bytes: size - keep });
      }
      await syncFolder(folder);
      this.#durableBytes = keep;
      if (keep > 0) this.#startTimer();
    } catch (error) {
      await handle.close();
      throw error;
    }
    this.#handle = handle;
    return handle;
  }

  async #rotate(): Promise<void> {
    const handle = this.#handle;
    if (handle === null) return;
    const { folder, name } = this.#options;
    if (this.#durableBytes === 0) {
      await unlink(this.#part);
    } else {
      await rename(this.#part, join(folder, `${name}-${await this.#stamp()}.ndjson`));
    }
    this.#handle = null;
    this.#durableBytes = null;
    this.#stopTimer();
    await handle.close();
    await syncFolder(folder);
  }

  /** The rows are safe either way; a rename that failed is tried again after the next append, or at the end. */
  async #rotateQuietly(): Promise<void> {
    try {
      await this.#rotate();
    } catch (error) {
      this.#options.log.warn("a finished file could not be renamed", { file: this.#part, code: errnoOf(error) });
    }
  }

  async #abandon(): Promise<void> {
    const handle = this.#handle;
    this.#handle = null;
    this.#stopTimer();
    await handle?.close().catch(() => undefined);
  }

  /** The time in a form that sorts; never the same twice, and never a name that is taken. */
  async #stamp(): Promise<string> {
    const { folder, name } = this.#options;
    for (let ms = Date.now(); ; ms++) {
      const stamp = new Date(ms).toISOString().replaceAll(/[-:.]/g, "");
      if (stamp <= this.#lastStamp) continue;
      if ((await stat(join(folder, `${name}-${stamp}.ndjson`)).catch(() => null)) !== null) continue;
      this.#lastStamp = stamp;
      return stamp;
    }
  }

  #startTimer(): void {
    const { rotateMs } = this.#options;
    if (rotateMs === null || this.#timer !== null) return;
    this.#timer = setTimeout(() => {
      this.#timer = null;
      void this.#inTurn(() => this.#rotateQuietly());
    }, rotateMs);
    this.#timer.unref();
  }

  #stopTimer(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
  }

  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const before = this.#turn;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#turn = promise;
    await before;
    try {
      return await work();
    } catch (error) {
      throw fileError(error, this.#part);
    } finally {
      resolve();
    }
  }
}

/** Where the last whole line ends. */
async function lastLineEnd(handle: FileHandle, size: number): Promise<number> {
  const block = Buffer.alloc(65_536);
  for (let end = size; end > 0;) {
    const start = Math.max(0, end - block.length);
    const { bytesRead } = await handle.read(block, 0, end - start, start);
    const newline = block.subarray(0, bytesRead).lastIndexOf(10);
    if (newline >= 0) return start + newline + 1;
    end = start;
  }
  return 0;
}

/** Makes new names durable. */
async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, constants.O_RDONLY);
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

function errnoOf(error: unknown): string {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" ? code : "unknown";
}

function fileError(error: unknown, path: string): TailraceError {
  if (error instanceof TailraceError) return error;
  const code = errnoOf(error);
  const details = { cause: error };
  if (code === "ENOSPC" || code === "EDQUOT") {
    return new TailraceError("destination.unavailable", `${path}: the disk is full (${code})`, details);
  }
  if (["EACCES", "EPERM", "EROFS", "ENOTDIR", "EISDIR", "ENAMETOOLONG"].includes(code)) {
    return new TailraceError("destination.config", `${path}: cannot be written (${code})`, details);
  }
  return new TailraceError("destination.unavailable", `${path}: writing failed (${code})`, details);
}
