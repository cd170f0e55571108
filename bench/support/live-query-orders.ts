// Orders of users that change at a steady rate, by a writer who knows what each user's row of the model must become.
import pg from "pg";
import { cpuSecondsOf } from "./server-cpu.ts";
import { sql } from "./server.ts";

/** `users` and `orders`: multiples of {@link LANES}. */
export interface OrdersSize {
  readonly users: number;
  readonly orders: number;
}

/** A row of the model, as far as orders change it. */
export interface UserRow {
  readonly user: number;
  readonly orders: number;
  readonly cents: number;
}

export const MODEL = `SELECT u.id, u.name, u.email, count(o.id) AS orders, coalesce(sum(o.amount), 0) AS spent, max(o.placed_at) AS last_order
  FROM public.users u LEFT JOIN public.orders o ON o.user_id = u.id GROUP BY u.id`;

/** Each writes the orders of its own users, so that the commits of one user have an order that is known. */
const LANES = 4;

export async function createOrders(url: string, { users, orders }: OrdersSize): Promise<void> {
  await sql(
    url,
    "CREATE TABLE public.users (id bigint PRIMARY KEY, name text NOT NULL, email text NOT NULL)",
    `INSERT INTO public.users SELECT id, 'customer ' || id, 'customer' || id || '@example.com' FROM generate_series(1, ${users}) AS id`,
    `CREATE TABLE public.orders (id bigint, user_id bigint NOT NULL, amount numeric(12, 2) NOT NULL, status text NOT NULL,
       placed_at timestamptz NOT NULL)`,
    // A user's orders lie all over the table, as they do where they came over time.
    `INSERT INTO public.orders SELECT id, (id - 1) % ${users} + 1, (${CENTS_SQL})::numeric / 100, 'paid',
       '2026-01-01 00:00:00+00'::timestamptz + id * interval '1001 microseconds' FROM generate_series(1, ${orders}) AS id`,
    "ALTER TABLE public.orders ADD PRIMARY KEY (id)",
    "CREATE INDEX ON public.orders (user_id)",
    "ALTER TABLE public.orders REPLICA IDENTITY FULL",
    "VACUUM (FREEZE, ANALYZE)",
    "CHECKPOINT",
  );
}

const CENTS_SQL = "id::bigint * 7919 % 100000 + 1";

export interface Written {
  /** How late the latest change was sent. */
  readonly latestMs: number;
  /** Of the writers' own sessions. */
  readonly cpuSeconds: number;
}

export class OrderWriter {
  readonly #url: string;
  readonly #size: OrdersSize;
  readonly #rows: { readonly orders: Int32Array; readonly cents: Float64Array };
  /** Each order changes once: a row that was changed and changed back between two looks would not be sent. */
  readonly #changed = new Set<number>();
  readonly #committing: (row: UserRow) => void;
  #lastId: number;
  #seed = 1;

  /** `committing` hears of each row of the model that a change alters, as it will be, just before the change is sent. */
  constructor(url: string, size: OrdersSize, committing: (row: UserRow) => void) {
    const { users, orders } = size;
    this.#url = url;
    this.#size = size;
    this.#committing = committing;
    this.#lastId = orders;
    this.#rows = { orders: new Int32Array(users + 1), cents: new Float64Array(users + 1) };
    for (let id = 1; id <= orders; id += 1) this.#count(this.#created(id), 1);
  }

  /** One change a commit, at a steady rate: what is late is made up for. */
  async write(perSecond: number, seconds: number): Promise<Written> {
    const clients = await Promise.all(
      Array.from({ length: LANES }, async () => {
        const client = new pg.Client({ connectionString: this.#url });
        await client.connect();
        return client;
      }),
    );
    try {
      const pids = await Promise.all(
        clients.map(async (client) => {
          const { rows } = await client.query<{ pid: number }>("SELECT pg_backend_pid() AS pid");
          return rows[0]!.pid;
        }),
      );
      const startMs = performance.now();
      let latestMs = 0;
      await Promise.all(
        clients.map(async (client, lane) => {
          for (let n = lane; n < perSecond * seconds; n += LANES) {
            const dueMs = startMs + (n * 1000) / perSecond;
            await until(dueMs);
            latestMs = Math.max(latestMs, performance.now() - dueMs);
            await client.query(this.#change(lane));
          }
        }),
      );
      return { latestMs, cpuSeconds: pids.reduce((sum, pid) => sum + cpuSecondsOf(pid), 0) };
    } finally {
      await Promise.all(clients.map((client) => client.end()));
    }
  }

  /** Of 20 changes 8 inserts, 6 of an amount, 3 deletes, 3 to another user. */
  #change(lane: number): pg.QueryConfig {
    const kind = this.#below(20);
    if (kind < 8) {
      this.#lastId += 1;
      const order = { user: this.#pick(this.#size.users, lane), cents: this.#amount() };
      this.#become(null, order);
      return {
        name: "insert",
        text: "INSERT INTO public.orders VALUES ($1, $2, $3::numeric / 100, 'new', clock_timestamp())",
        values: [this.#lastId, order.user, order.cents],
      };
    }
    let id = this.#pick(this.#size.orders, lane);
    while (this.#changed.has(id)) id = this.#pick(this.#size.orders, lane);
    this.#changed.add(id);
    const before = this.#created(id);
    if (kind < 14) {
      const after = { ...before, cents: this.#amount() };
      this.#become(before, after);
      const text = "UPDATE public.orders SET amount = $2::numeric / 100 WHERE id = $1";
      return { name: "amount", text, values: [id, after.cents] };
    }
    if (kind < 17) {
      this.#become(before, null);
      return { name: "delete", text: "DELETE FROM public.orders WHERE id = $1", values: [id] };
    }
    const after = { ...before, user: this.#pick(this.#size.users, lane) };
    this.#become(before, after);
    return { name: "user", text: "UPDATE public.orders SET user_id = $2 WHERE id = $1", values: [id, after.user] };
  }

  #become(before: Order | null, after: Order | null): void {
    if (before) this.#count(before, -1);
    if (after) this.#count(after, 1);
    const { orders, cents } = this.#rows;
    if (before?.user === after?.user && before?.cents === after?.cents) return;
    for (const user of new Set([before, after].flatMap((order) => order?.user ?? []))) {
      this.#committing({ user, orders: orders[user]!, cents: cents[user]! });
    }
  }

  #count({ user, cents }: Order, by: 1 | -1): void {
    this.#rows.orders[user]! += by;
    this.#rows.cents[user]! += by * cents;
  }

  #created(id: number): Order {
    return { user: ((id - 1) % this.#size.users) + 1, cents: ((id * 7919) % 100_000) + 1 };
  }

  /** Not one that was created. */
  #amount(): number {
    return 100_001 + this.#below(10_000_000);
  }

  /** From 1 to `most`, and of this lane. */
  #pick(most: number, lane: number): number {
    return this.#below(most / LANES) * LANES + (lane === 0 ? LANES : lane);
  }

  /** The same sequence in each run. */
  #below(limit: number): number {
    this.#seed = (Math.imul(this.#seed, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((this.#seed / 2 ** 32) * limit);
  }
}

interface Order {
  readonly user: number;
  readonly cents: number;
}

function until(atMs: number): Promise<void> {
  const waitMs = atMs - performance.now();
  return waitMs <= 0 ? Promise.resolve() : new Promise((resolve) => setTimeout(resolve, waitMs));
}
