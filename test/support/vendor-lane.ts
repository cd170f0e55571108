// A destination behind the engine's own queue, lane and gate, fed with changes of rows; no source, no state.
import type { Change } from "../../src/contracts/change.ts";
import type { Destination, DestinationConnector, WriterMemory } from "../../src/contracts/destination.ts";
import type { TailraceError } from "../../src/contracts/errors.ts";
import type { Log } from "../../src/contracts/log.ts";
import type { Mode, OnDelete } from "../../src/contracts/sync.ts";
import type { Value } from "../../src/contracts/values.ts";
import { targetOf } from "../../src/app/running/target.ts";
import { newEntry } from "../../src/engine/capture/rows.ts";
import type { Entry } from "../../src/engine/delivery/entry.ts";
import { Gate } from "../../src/engine/delivery/gate.ts";
import { KeyedQueue } from "../../src/engine/delivery/keyed-queue.ts";
import { Lane } from "../../src/engine/delivery/lane.ts";
import { compileMapping } from "../../src/engine/mapping/compile.ts";
import { eventually } from "../conformance/running.ts";
import { relationWith, syncWith } from "./syncs.ts";

const silent: Log = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

export type Row = Readonly<Record<string, Value>>;

export interface VendorRunOptions {
  readonly connector: DestinationConnector;
  /** As a user would write them. */
  readonly settings: unknown;
  readonly object: string | null;
  readonly options?: unknown;
  readonly mode: Mode;
  readonly onDelete?: OnDelete;
  /** Types by column; the first is the key, and what records are found by. Each is mapped to the field of its name. */
  readonly columns: Readonly<Record<string, string>>;
  /** So many of the columns are the key, and what records are found by. Default: 1. */
  readonly keys?: number;
  /** What records are found by, where that is not the key. */
  readonly match?: string;
  readonly attempts?: number;
  readonly memory?: WriterMemory;
  readonly log?: Log;
  readonly batchRows?: number;
}

/** What a lease keeps of a writer, for as long as the test holds it. */
export function testMemory(): WriterMemory {
  let text: string | null = null;
  return {
    get text() {
      return text;
    },
    keep: async (kept) => void (text = kept),
  };
}

export class VendorRun implements AsyncDisposable {
  readonly rejected: { readonly key: string; readonly error: TailraceError }[] = [];
  readonly stops: TailraceError[] = [];
  readonly destination: Destination;
  readonly gate: Gate;
  /** Rows that were delivered, repeats of a key and all. */
  delivered = 0;
  readonly #abort = new AbortController();
  readonly #options: VendorRunOptions;
  readonly #mapping;
  readonly #queue: KeyedQueue;
  #lane!: Lane;
  #ordinal = 0;

  private constructor(options: VendorRunOptions) {
    const { connector, log = silent, mode } = options;
    this.#options = options;
    const key = Array.from({ length: options.keys ?? 1 }, (_, place) => place);
    const relation = relationWith(options.columns, { oldRows: "full", key });
    const sync = syncWith({
      mode,
      object: options.object,
      onDelete: options.onDelete ?? { kind: "ignore" },
      match: matchOf(options),
      options: options.options ?? {},
    });
    this.#mapping = compileMapping(sync, relation);
    this.#queue = new KeyedQueue({ merges: mode !== "event" && mode !== "insert" });
    this.destination = connector.create(connector.settings.parse(options.settings), {
      name: "vendor",
      log,
      baseDirectory: "/",
    });
    const { limits } = this.destination;
    this.gate = new Gate({ concurrency: limits.concurrency, perSecond: null });
  }

  static async open(options: VendorRunOptions): Promise<VendorRun> {
    const run = new VendorRun(options);
    await run.#start();
    return run;
  }

  get target() {
    const { mode, object, onDelete, options } = this.#options;
    const sync = syncWith({
      mode,
      object,
      onDelete: onDelete ?? { kind: "ignore" },
      match: matchOf(this.#options),
      options: options ?? {},
    });
    return targetOf(sync, this.#mapping);
  }

  async #start(): Promise<void> {
    const { connector, log = silent, attempts, memory, batchRows } = this.#options;
    const { limits } = this.destination;
    const target = this.target;
    const options = connector.sync.parse(target.options);
    const writer = await this.destination.open({ ...target, options }, this.#abort.signal, memory);
    this.#lane = new Lane({
      sync: "vendor_sync",
      queue: this.#queue,
      gate: this.gate,
      writer,
      limits: {
        rows: Math.min(limits.batchRows, batchRows ?? limits.batchRows),
        bytes: limits.batchBytes,
        ageMs: 0,
        attempts: attempts ?? 200,
      },
      owner: {
        fill: async () => [],
        announce: () => null,
        delivered: (entries) => void (this.delivered += entries.length),
        rejected: ({ key }, error) => void this.rejected.push({ key, error }),
        maySend: () => !this.#abort.signal.aborted,
        progressWith: () => "",
        deadLettersDurable: async () => {},
        stopped: (error) => void this.stops.push(error),
        room: () => {},
      },
      signal: this.#abort.signal,
      log,
    });
    this.#lane.start();
  }

  /** A row is there now, or is another; UNCHANGED: the source did not send it. `ordinal`: its place in the log, and so its id; default: the next. */
  put(row: Row, kind: "insert" | "update" = "update", ordinal?: number): void {
    const { mode } = this.#options;
    const op = mode === "insert" ? "create" : mode === "update" ? "update" : mode === "event" ? "event" : "upsert";
    this.#add(op, row, kind, row, ordinal);
  }

  /** A row is gone. */
  gone(row: Row): void {
    const { mode, onDelete } = this.#options;
    const kind = onDelete?.kind ?? "ignore";
    if (mode === "event") this.#add("event", row, "delete", null);
    else if (kind !== "ignore") this.#add(kind, row, "delete", null);
  }

  #add(op: Entry["op"], row: Row, kind: Change["op"], after: Row | null, ordinal = this.#ordinal + 1): void {
    this.#ordinal = ordinal;
    const { relation } = this.#mapping;
    const values = (of: Row): Value[] => relation.columns.map(({ name }) => of[name] ?? null);
    const change: Change = {
      op: kind,
      relation,
      before: after === null ? values(row) : null,
      after: after === null ? null : values(after),
      position: `p-${String(this.#ordinal).padStart(8, "0")}`,
      transaction: { id: "1", committedAt: 1_700_000_000_000_000n + BigInt(this.#ordinal) },
    };
    const group = { tracker: {}, done() {}, alsoWaits() {}, suppose() {} };
    const entry = newEntry(this.#mapping, op, change, change.before, change.after, group, 0);
    entry.event = kind as Entry["event"];
    entry.key = values(row)
      .slice(0, this.#options.keys ?? 1)
      .map((value) => (typeof value === "string" ? value : ""))
      .join("\n");
    this.#queue.add(entry);
    this.gate.wake();
  }

  /** Rows that are neither delivered nor rejected. */
  get left(): number {
    return this.#queue.entries;
  }

  /** Everything that was put is delivered or rejected, or the sync has stopped. */
  async finished(withinMs = 60_000): Promise<void> {
    await eventually(async () => this.left === 0 || this.stops.length > 0, withinMs);
  }

  /** As by a kill: what is on its way is given up. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#lane.halt();
    this.gate.close();
    await this.destination[Symbol.asyncDispose]();
  }
}

/** null: the columns of the key. */
function matchOf({ columns, keys = 1, match }: VendorRunOptions): string | null {
  return match ?? (keys === 1 ? Object.keys(columns)[0]! : null);
}
