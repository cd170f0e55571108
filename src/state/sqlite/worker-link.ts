import { Worker } from "node:worker_threads";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import {
  fromPlain,
  type Arguments,
  type Call,
  type FromWorker,
  type Method,
  type Result,
  type WorkerSettings,
} from "./protocol.ts";

// Run unbuilt it is a .ts file, built a .js file; the compiler rewrites imports, but not this.
const WORKER = new URL(import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.js", import.meta.url);

interface Waiting {
  readonly resolve: (value: unknown) => void;
  readonly reject: (error: TailraceError) => void;
}

/** The main thread's end of the worker. It keeps the process alive only while an answer is awaited. */
export class WorkerLink {
  readonly #worker: Worker;
  readonly #log: Log;
  readonly #waiting = new Map<number, Waiting>();
  readonly #lost = new Map<string, () => void>();
  #nextId = 1;
  #ended: TailraceError | null = null;

  /** Resolves when the file is open and proven; rejects with what is wrong with it. */
  static async open(settings: WorkerSettings, log: Log): Promise<WorkerLink> {
    const worker = new Worker(WORKER, {
      workerData: settings,
      // Node still calls node:sqlite experimental, once a thread, on the user's terminal.
      execArgv: ["--disable-warning=ExperimentalWarning"],
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    worker.once("message", (message: FromWorker) => {
      if (message.kind === "refused") reject(fromPlain(message.error));
      else resolve();
    });
    worker.once("error", (error) => reject(TailraceError.from(error)));
    worker.once("exit", () => reject(new TailraceError("internal.defect", "the state's worker ended")));
    try {
      await promise;
    } catch (error) {
      await worker.terminate();
      throw error;
    }
    return new WorkerLink(worker, log);
  }

  private constructor(worker: Worker, log: Log) {
    this.#worker = worker;
    this.#log = log;
    worker.on("message", (message: FromWorker) => this.#receive(message));
    worker.on("error", (error) => this.#end(TailraceError.from(error)));
    worker.on("exit", () => this.#end(new TailraceError("internal.defect", "the state is closed")));
    worker.unref();
  }

  get closed(): boolean {
    return this.#ended !== null;
  }

  call<M extends Method>(method: M, ...args: Arguments<M>): Promise<Result<M>> {
    if (this.#ended !== null) return Promise.reject(this.#ended);
    const id = this.#nextId;
    this.#nextId += 1;
    if (this.#waiting.size === 0) this.#worker.ref();
    return new Promise<Result<M>>((resolve, reject) => {
      this.#waiting.set(id, { resolve: resolve as (value: unknown) => void, reject });
      this.#send({ id, method, args });
    });
  }

  /** Without an answer; a failure is logged. */
  tell<M extends Method>(method: M, ...args: Arguments<M>): void {
    if (this.#ended === null) this.#send({ id: null, method, args });
  }

  /** `lost` is called at most once, when the lease of `owner` has gone to another holder, or can no longer be kept. */
  watch(owner: string, lost: () => void): void {
    if (this.#ended === null) this.#lost.set(owner, lost);
    else lost();
  }

  unwatch(owner: string): void {
    this.#lost.delete(owner);
  }

  async close(): Promise<void> {
    if (this.#ended !== null) return;
    this.#lost.clear();
    try {
      await this.call("close");
    } finally {
      this.#end(new TailraceError("internal.defect", "the state is closed"));
      await this.#worker.terminate();
    }
  }

  #send(call: Call): void {
    // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a worker, not a window
    this.#worker.postMessage(call);
  }

  #receive(message: FromWorker): void {
    if (message.kind === "lost") {
      const lost = this.#lost.get(message.owner);
      this.#lost.delete(message.owner);
      lost?.();
    } else if (message.kind === "warning") {
      const { error } = message;
      this.#log.warn(message.message, error === null ? {} : { code: error.code, error: error.message });
    } else if (message.kind === "result" || message.kind === "failed") {
      const waiting = this.#waiting.get(message.id);
      this.#waiting.delete(message.id);
      if (this.#waiting.size === 0) this.#worker.unref();
      if (message.kind === "result") waiting?.resolve(message.value);
      else waiting?.reject(fromPlain(message.error));
    }
  }

  /** Without the worker there is no heartbeat and no fence: every lease counts as lost. */
  #end(error: TailraceError): void {
    if (this.#ended !== null) return;
    this.#ended = error;
    for (const { reject } of this.#waiting.values()) reject(error);
    this.#waiting.clear();
    for (const lost of this.#lost.values()) lost();
    this.#lost.clear();
  }
}
