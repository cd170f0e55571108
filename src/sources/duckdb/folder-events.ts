// What the operating system tells of folders: that something in them was written, came or went.
import { type FSWatcher, watch } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";

export class FolderEvents implements Disposable {
  readonly #watchers = new Map<string, FSWatcher>();
  #told = new AbortController();

  /** From now on these, and no others. One that cannot be watched is left to whoever looks now and then. */
  watch(folders: ReadonlySet<string>): void {
    for (const [folder, watcher] of this.#watchers) {
      if (folders.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of folders) {
      if (this.#watchers.has(folder)) continue;
      try {
        const watcher = watch(folder, { persistent: false }, () => this.#told.abort());
        watcher.on("error", () => {
          watcher.close();
          this.#watchers.delete(folder);
        });
        this.#watchers.set(folder, watcher);
      } catch {
        // Gone meanwhile, or more of them than the system has room for.
      }
    }
  }

  /** Resolves when something was told since the last call, at the latest after this time. Rejects with the signal's reason. */
  async next(mostMs: number, signal: AbortSignal): Promise<void> {
    try {
      await delay(mostMs, undefined, { signal: AbortSignal.any([signal, this.#told.signal]) });
    } catch {
      signal.throwIfAborted();
    }
    this.#told = new AbortController();
  }

  [Symbol.dispose](): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }
}
