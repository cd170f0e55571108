import { type FSWatcher, watch } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { dirname } from "node:path";
import * as z from "zod";

/** A run of dbt that has ended. */
export interface DbtRun {
  /** dbt's own id of it. */
  readonly invocation: string;
  /** As dbt writes it, in UTC. */
  readonly endedAt: string;
  /** Ids of what it built, each without an error. */
  readonly built: ReadonlySet<string>;
}

const file = z.object({
  metadata: z.object({ invocation_id: z.string(), generated_at: z.string() }),
  args: z.object({ which: z.string().nullish() }).nullish(),
  results: z.array(z.object({ unique_id: z.string(), status: z.string() })),
});

/** Commands that change tables; `compile`, `test` and others write the same file, with the same word for success. */
const BUILDING: ReadonlySet<string> = new Set(["run", "build", "seed", "snapshot", "retry", "clone"]);
const DONE: ReadonlySet<string> = new Set(["success", "partial success"]);

/** What a run_results.json tells; null: it was not a run that builds. Undefined: nothing yet, dbt is still writing it. */
export function parseRun(text: string): DbtRun | null | undefined {
  let data: unknown;
  try {
    data = JSON.parse(text);
  } catch {
    return undefined;
  }
  const parsed = file.safeParse(data);
  if (!parsed.success) return null;
  const { metadata, args, results } = parsed.data;
  if (!BUILDING.has(args?.which ?? "")) return null;
  const built = new Set(results.filter(({ status }) => DONE.has(status)).map(({ unique_id }) => unique_id));
  return { invocation: metadata.invocation_id, endedAt: metadata.generated_at, built };
}

/**
 * The run that the file tells of now, which may have ended before anybody looked, and each that ends afterwards; until `signal`. Two that
 * end within `pollMs` of each other may be told as the later alone, where the file system says nothing of changes.
 */
export async function* dbtRuns(
  path: string,
  { signal, pollMs = 2000 }: { readonly signal: AbortSignal; readonly pollMs?: number },
): AsyncGenerator<DbtRun, void, void> {
  let stamp: string | null = null;
  let told: string | null = null;
  while (!signal.aborted) {
    // Before the look, so that nothing is missed in between; anew each time, because dbt may remove the folder.
    using change = new Change(dirname(path), pollMs, signal);
    const now = await stampOf(path);
    if (now !== null && now !== stamp) {
      const text = await readFile(path, "utf8").catch(() => "");
      const run = parseRun(text);
      if (run !== undefined) stamp = now;
      if (run && run.invocation !== told) {
        told = run.invocation;
        yield run;
      }
    }
    await change.seen;
  }
}

async function stampOf(path: string): Promise<string | null> {
  const found = await stat(path, { bigint: true }).catch(() => null);
  return found === null ? null : `${found.ino}:${found.size}:${found.mtimeNs}`;
}

/** A change in a folder, or the time to look anyway. */
class Change implements Disposable {
  readonly seen: Promise<void>;
  readonly #watcher: FSWatcher | null;
  readonly #timer: NodeJS.Timeout;
  readonly #stop: () => void;
  readonly #signal: AbortSignal;

  constructor(folder: string, pollMs: number, signal: AbortSignal) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.seen = promise;
    this.#stop = () => resolve();
    this.#signal = signal;
    this.#timer = setTimeout(resolve, pollMs);
    signal.addEventListener("abort", this.#stop, { once: true });
    if (signal.aborted) resolve();
    this.#watcher = watchFolder(folder, resolve);
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#stop);
    this.#watcher?.close();
  }
}

function watchFolder(folder: string, changed: () => void): FSWatcher | null {
  try {
    const watcher = watch(folder, changed);
    watcher.on("error", () => watcher.close());
    return watcher;
  } catch {
    // It is not there, or cannot be watched: then it is looked at now and then.
    return null;
  }
}
