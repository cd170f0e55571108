// Within one process DuckDB's own lock on a file says nothing, and closing one handle gives it up for all. So those of this
// process who read a file, and the one who writes it, wait for each other here.
import { realpath } from "node:fs/promises";
import { basename, dirname, join, resolve } from "node:path";

interface Waiting {
  readonly kind: "read" | "write";
  readonly enter: () => void;
}

class FileLock {
  #readers = 0;
  #writing = false;
  /** In the order of arrival: who wants to write is not kept waiting by readers that come later. */
  readonly #waiting: Waiting[] = [];

  get isFree(): boolean {
    return this.#readers === 0 && !this.#writing && this.#waiting.length === 0;
  }

  async enter(kind: Waiting["kind"], signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.#waiting.length === 0 && this.#admits(kind)) return this.#take(kind);
    await new Promise<void>((resolve, reject) => {
      const waiting: Waiting = {
        kind,
        enter: () => {
          signal.removeEventListener("abort", leave);
          resolve();
        },
      };
      const leave = (): void => {
        this.#waiting.splice(this.#waiting.indexOf(waiting), 1);
        this.#admit();
        reject(signal.reason as Error);
      };
      signal.addEventListener("abort", leave, { once: true });
      this.#waiting.push(waiting);
    });
  }

  leave(kind: Waiting["kind"]): void {
    if (kind === "write") this.#writing = false;
    else this.#readers -= 1;
    this.#admit();
  }

  #admit(): void {
    for (let next = this.#waiting[0]; next !== undefined && this.#admits(next.kind); next = this.#waiting[0]) {
      this.#waiting.shift();
      this.#take(next.kind);
      next.enter();
    }
  }

  #admits(kind: Waiting["kind"]): boolean {
    return !this.#writing && (kind === "read" || this.#readers === 0);
  }

  #take(kind: Waiting["kind"]): void {
    if (kind === "write") this.#writing = true;
    else this.#readers += 1;
  }
}

const locks = new Map<string, FileLock>();
/** Names are found one after the other, so that whoever asked first is first in the lock's order. */
let named: Promise<unknown> = Promise.resolve();

/** Returns what gives the lock back. Rejects with the signal's reason. */
export async function lockFile(path: string, kind: "read" | "write", signal: AbortSignal): Promise<() => void> {
  const naming = named.then(() => realpath(path).catch(() => newFile(resolve(path))));
  named = naming;
  const name = await naming;
  const lock = locks.get(name) ?? new FileLock();
  locks.set(name, lock);
  await lock.enter(kind, signal);
  return () => {
    lock.leave(kind);
    if (lock.isFree) locks.delete(name);
  };
}

/** As {@link realpath} will give it once the file is there. */
async function newFile(path: string): Promise<string> {
  return realpath(dirname(path)).then(
    (folder) => join(folder, basename(path)),
    () => path,
  );
}
