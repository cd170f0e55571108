// A load with a version column: whoever sees its rows can tell the order of any two states of a key.
import { Client, DatabaseError } from "pg";
import { setTimeout as delay } from "node:timers/promises";
import { changeKey, copy, insert, loadTable, remove, update } from "./load-statements.ts";
import { type Prng, prng } from "./prng.ts";

export interface LoadOptions {
  /** A superuser's URL of a server on this machine. */
  readonly url: string;
  /** As SQL takes it; made when it is not there. Default: `public.load`. */
  readonly table?: string | undefined;
  /** Row changes to commit, at least; a transaction is finished. */
  readonly changes: number;
  /** Keys are 1 … keys. Default 1000. */
  readonly keys?: number | undefined;
  /** Connections that write at once, each on keys of its own, so that versions of a key grow in commit order. Default 2. */
  readonly connections?: number | undefined;
  /** Row changes a second, over all connections. Default: as fast as it goes. */
  readonly ratePerSecond?: number | undefined;
  readonly seed: number;
  readonly mix?: Partial<Mix> | undefined;
}

/** Shares; they need not sum up to anything. */
export interface Mix {
  readonly insert: number;
  readonly update: number;
  readonly delete: number;
  /** An update of the primary key. */
  readonly key: number;
  /** A burst of inserts by COPY. */
  readonly copy: number;
}

export interface Committed {
  readonly seed: number;
  readonly changes: number;
  readonly transactions: number;
  readonly rolledBack: number;
  readonly inserts: number;
  readonly updates: number;
  readonly deletes: number;
  readonly keyChanges: number;
  /** Transactions whose COMMIT got no answer: the table says whether they happened. */
  readonly unknown: number;
  /** Rows in the table now, and the highest version written. */
  readonly rows: number;
  readonly lastVersion: bigint;
}

const DEFAULT_MIX: Mix = { insert: 30, update: 50, delete: 12, key: 5, copy: 3 };
const ROLLBACK_SHARE = 0.05;
const SAVEPOINT_SHARE = 0.05;

type Counter = { -readonly [K in Exclude<keyof Committed, "seed">]: Committed[K] };
type Tally = Pick<Counter, "inserts" | "updates" | "deletes" | "keyChanges">;

/** Writes until `changes` are committed or `signal` aborts. The same seed and settings give the same statements a connection. */
export async function run(options: LoadOptions, signal?: AbortSignal): Promise<Committed> {
  const table = options.table ?? "public.load";
  const connections = options.connections ?? 2;
  const total: Counter = {
    changes: 0,
    transactions: 0,
    rolledBack: 0,
    inserts: 0,
    updates: 0,
    deletes: 0,
    keyChanges: 0,
    unknown: 0,
    rows: 0,
    lastVersion: 0n,
  };
  const setup = await connected(options.url);
  try {
    const { rows } = await setup.query<{ there: boolean }>("SELECT to_regclass($1) IS NOT NULL AS there", [table]);
    if (rows[0]?.there !== true) await setup.query(loadTable(table));
    const highest = await setup.query<{ highest: string }>(
      `SELECT coalesce(max(version), 0)::text AS highest FROM ${table}`,
    );
    total.lastVersion = BigInt(highest.rows[0]?.highest ?? 0);
  } finally {
    await setup.end();
  }
  const random = prng(options.seed);
  const started = performance.now();
  const pace = async (): Promise<void> => {
    if (options.ratePerSecond === undefined) return;
    const due = started + (total.changes * 1000) / options.ratePerSecond;
    const waitMs = due - performance.now();
    if (waitMs > 0) await delay(waitMs, undefined, { signal }).catch(() => {});
  };
  const stopped = (): boolean => signal?.aborted === true;
  const perConnection = Math.ceil(options.changes / connections);
  await Promise.all(
    Array.from({ length: connections }, async (_unused, place) => {
      const writer = new Writer(options, table, place, connections, random.fork(), total);
      await writer.open();
      try {
        while (writer.changes < perConnection && !stopped()) {
          await writer.transaction(perConnection - writer.changes);
          await pace();
        }
      } finally {
        await writer.close();
      }
    }),
  );
  const end = await connected(options.url);
  try {
    const { rows } = await end.query<{ count: string }>(`SELECT count(*)::text AS count FROM ${table}`);
    return { seed: options.seed, ...total, rows: Number(rows[0]?.count) };
  } finally {
    await end.end();
  }
}

async function connected(url: string): Promise<Client> {
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await client.connect();
  return client;
}

/** One connection; owns the keys that leave `place` when divided by `connections`. */
class Writer {
  readonly #options: LoadOptions;
  readonly #table: string;
  readonly #place: number;
  readonly #connections: number;
  readonly #random: Prng;
  readonly #total: Counter;
  readonly #kinds: readonly (keyof Mix)[];
  #client: Client | null = null;
  #alive: number[] = [];
  #free: number[] = [];
  changes = 0;

  constructor(options: LoadOptions, table: string, place: number, connections: number, random: Prng, total: Counter) {
    this.#options = options;
    this.#table = table;
    this.#place = place;
    this.#connections = connections;
    this.#random = random;
    this.#total = total;
    const mix = { ...DEFAULT_MIX, ...options.mix };
    this.#kinds = (Object.keys(mix) as (keyof Mix)[]).flatMap((kind) => Array<keyof Mix>(mix[kind]).fill(kind));
  }

  /** Connects, and learns from the table which keys are there. Waits, up to a minute, for a server that is restarting. */
  async open(): Promise<void> {
    const giveUpAt = performance.now() + 60_000;
    for (;;) {
      try {
        this.#client = await connected(this.#options.url);
        const { rows } = await this.#client.query<{ id: string }>(
          `SELECT id::text AS id FROM ${this.#table} WHERE mod(id, $1) = $2 ORDER BY id`,
          [this.#connections, this.#place],
        );
        this.#alive = rows.map(({ id }) => Number(id));
        const taken = new Set(this.#alive);
        this.#free = [];
        for (let id = 1; id <= (this.#options.keys ?? 1000); id += 1) {
          if (id % this.#connections === this.#place && !taken.has(id)) this.#free.push(id);
        }
        return;
      } catch (error) {
        if (performance.now() > giveUpAt) throw error;
        await delay(50);
      }
    }
  }

  async close(): Promise<void> {
    await this.#client?.end().catch(() => {});
  }

  /** One transaction of one row (mostly) or up to twenty, in one round trip. */
  async transaction(most: number): Promise<void> {
    const rows = this.#random.chance(0.6) ? 1 : Math.min(most, 2 + this.#random.int(19));
    const rollback = this.#random.chance(ROLLBACK_SHARE);
    const before = rollback ? { alive: [...this.#alive], free: [...this.#free] } : null;
    const tally: Tally = { inserts: 0, updates: 0, deletes: 0, keyChanges: 0 };
    const statements = ["BEGIN"];
    for (let row = 0; row < rows; row += 1) {
      if (this.#random.chance(SAVEPOINT_SHARE)) {
        const inner = { alive: [...this.#alive], free: [...this.#free] };
        statements.push("SAVEPOINT s", this.#statement({ ...tally }), "ROLLBACK TO SAVEPOINT s");
        this.#alive = inner.alive;
        this.#free = inner.free;
      }
      statements.push(this.#statement(tally));
    }
    statements.push(rollback ? "ROLLBACK" : "COMMIT");
    try {
      await this.#client?.query(statements.join(";"));
    } catch (error) {
      // A refused statement is a defect of the load; a lost connection is what a test may have wanted.
      if (error instanceof DatabaseError && !/^(08|53|57)/.test(error.code ?? "")) throw error;
      this.#total.unknown += 1;
      await this.close();
      await this.open();
      return;
    }
    if (before !== null) {
      this.#total.rolledBack += 1;
      this.#alive = before.alive;
      this.#free = before.free;
      return;
    }
    this.#total.transactions += 1;
    for (const kind of ["inserts", "updates", "deletes", "keyChanges"] as const) {
      this.#total[kind] += tally[kind];
      this.#total.changes += tally[kind];
      this.changes += tally[kind];
    }
  }

  #statement(tally: Tally): string {
    let kind = this.#random.pick(this.#kinds);
    if (this.#alive.length === 0 && kind !== "copy") kind = "insert";
    if (this.#free.length === 0 && kind !== "delete") kind = "update";
    switch (kind) {
      case "insert":
        tally.inserts += 1;
        return insert(this.#table, this.#born(), this.#version(), this.#random);
      case "copy": {
        const rows = Array.from({ length: Math.min(this.#free.length, 2 + this.#random.int(30)) }, () => ({
          id: this.#born(),
          version: this.#version(),
        }));
        tally.inserts += rows.length;
        return copy(this.#table, rows);
      }
      case "update":
        tally.updates += 1;
        return update(this.#table, this.#random.pick(this.#alive), this.#version(), this.#random);
      case "delete":
        tally.deletes += 1;
        return remove(this.#table, this.#died());
      case "key": {
        tally.keyChanges += 1;
        const to = take(this.#free, this.#random);
        const from = this.#died();
        this.#alive.push(to);
        return changeKey(this.#table, from, to, this.#version());
      }
    }
  }

  #version(): bigint {
    this.#total.lastVersion += 1n;
    return this.#total.lastVersion;
  }

  #born(): number {
    const id = take(this.#free, this.#random);
    this.#alive.push(id);
    return id;
  }

  #died(): number {
    const id = take(this.#alive, this.#random);
    this.#free.push(id);
    return id;
  }
}

/** Removes a random item; the order of the rest does not matter. */
function take(items: number[], random: Prng): number {
  const at = random.int(items.length);
  const item = items[at] as number;
  items[at] = items.at(-1) as number;
  items.pop();
  return item;
}
