import { chmod, type FileHandle, mkdir, open, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";

/** `MILLISECONDS-PID.jsonl`: their names' order is that of their making, and no two processes write one. */
const NAME = /^\d{13}-\d+\.jsonl$/;

/** The files of a history, oldest first. */
export async function segmentsIn(directory: string): Promise<readonly string[]> {
  const names = await readdir(directory).catch(() => []);
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .map((name) => join(directory, name));
}

/**
 * Append-only files in one folder, mode 0600, that hold `bytes` together at the most: the oldest is removed for a new one. Not for
 * what must outlive a crash of the machine: nothing waits for the disk.
 */
export class Segments implements AsyncDisposable {
  readonly #directory: string;
  readonly #bytes: number;
  readonly #segmentBytes: number;
  #file: FileHandle | null = null;
  #written = 0;
  #madeAtMs = 0;

  constructor(directory: string, bytes: number) {
    this.#directory = directory;
    this.#bytes = bytes;
    this.#segmentBytes = Math.max(1, Math.floor(bytes / SEGMENTS));
  }

  /** One call at a time. A line is never divided between two files. */
  async append(lines: readonly string[]): Promise<void> {
    for (let next = 0; next < lines.length;) {
      const file = await this.#current();
      const from = next;
      let size = 0;
      while (next < lines.length && this.#written + size < this.#segmentBytes) {
        size += Buffer.byteLength(lines[next]!);
        next += 1;
      }
      await file.appendFile(lines.slice(from, next).join(""));
      this.#written += size;
    }
  }

  async #current(): Promise<FileHandle> {
    // Another process may have made room by removing it.
    const gone = this.#file !== null && (await this.#file.stat()).nlink === 0;
    if (this.#file !== null && !gone && this.#written < this.#segmentBytes) return this.#file;
    await this[Symbol.asyncDispose]();
    await mkdir(this.#directory, { recursive: true, mode: 0o700 });
    await this.#makeRoom();
    this.#madeAtMs = Math.max(Date.now(), this.#madeAtMs + 1);
    const path = join(this.#directory, `${String(this.#madeAtMs).padStart(13, "0")}-${process.pid}.jsonl`);
    this.#file = await open(path, "a", 0o600);
    await chmod(path, 0o600);
    this.#written = 0;
    return this.#file;
  }

  /** So that another segment fits. */
  async #makeRoom(): Promise<void> {
    const files: { readonly path: string; readonly size: number }[] = [];
    for (const path of await segmentsIn(this.#directory)) {
      const found = await stat(path).catch(() => null);
      if (found !== null) files.push({ path, size: found.size });
    }
    let total = files.reduce((sum, { size }) => sum + size, 0);
    for (const { path, size } of files) {
      if (total <= this.#bytes - this.#segmentBytes) return;
      await rm(path, { force: true });
      total -= size;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const file = this.#file;
    this.#file = null;
    await file?.close();
  }
}

const SEGMENTS = 8;
