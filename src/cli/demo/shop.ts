import pg from "pg";

/**
 * A small shop: users, orders, support tickets, and somebody who writes to it all the time. It remembers what it committed, so that the demo can say at the end
 * what should have arrived.
 */
export class Shop implements AsyncDisposable {
  readonly #client: pg.Client;
  readonly #random: () => number;
  readonly #users: number[] = [];
  readonly #openOrders: number[] = [];
  readonly #openTickets: number[] = [];
  #nextUser = 1;
  #nextOrder = FIRST_ORDERS + 1;
  #nextTicket = 1;
  /** Rows inserted, updated and deleted so far. */
  changes = 0;
  /** Orders that were abandoned, and orders of `BIG_ORDER` and more, in the order of their commits. */
  readonly abandoned: number[] = [];
  readonly big: number[] = [];

  private constructor(client: pg.Client, seed: number) {
    this.#client = client;
    this.#random = randomFrom(seed);
  }

  /** Makes the tables, and rows to begin with: these are what a backfill finds. */
  static async open(url: string, seed: number): Promise<Shop> {
    const client = new pg.Client({ connectionString: url });
    client.on("error", () => {});
    await client.connect();
    await client.query(SCHEMA);
    const shop = new Shop(client, seed);
    await client.query(
      `INSERT INTO users (id, name, email, plan, lifetime_value)
       SELECT i, 'User ' || i, 'user' || i || '@example.com', 'free', 0 FROM generate_series(1, $1::int) AS i`,
      [FIRST_USERS],
    );
    await client.query(
      `INSERT INTO orders (id, user_id, total, status)
       SELECT i, i, i * 10, 'paid' FROM generate_series(1, $1::int) AS i`,
      [FIRST_ORDERS],
    );
    for (; shop.#nextUser <= FIRST_USERS; shop.#nextUser += 1) shop.#users.push(shop.#nextUser);
    return shop;
  }

  /** One business event: one transaction of one to three changes. */
  async act(): Promise<void> {
    const dice = this.#random();
    if (dice < 0.2 || this.#users.length < 20) await this.#signUp();
    else if (dice < 0.55) await this.#order();
    else if (dice < 0.7) await this.#abandon();
    else if (dice < 0.8) await this.#pay();
    else if (dice < 0.85) await this.#openTicket();
    else if (dice < 0.88) await this.#closeTicket();
    else if (dice < 0.95) await this.#changePlan();
    else await this.#leave();
  }

  async #signUp(): Promise<void> {
    const id = this.#nextUser++;
    await this.#client.query("INSERT INTO users (id, name, email, plan) VALUES ($1, $2, $3, 'free')", [
      id,
      `${this.#pick(NAMES)} ${this.#pick(SURNAMES)}`,
      `user${id}@example.com`,
    ]);
    this.#users.push(id);
    this.changes += 1;
  }

  async #order(): Promise<void> {
    const id = this.#nextOrder++;
    const cents = Math.floor(this.#random() ** 3 * 90_000) + 500;
    const total = `${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, "0")}`;
    await this.#client.query("INSERT INTO orders (id, user_id, total, status) VALUES ($1, $2, $3, 'open')", [
      id,
      this.#pick(this.#users),
      total,
    ]);
    this.#openOrders.push(id);
    if (cents >= BIG_ORDER * 100) this.big.push(id);
    this.changes += 1;
  }

  async #abandon(): Promise<void> {
    const id = this.#openOrders.shift();
    if (id === undefined) return this.#order();
    await this.#client.query("UPDATE orders SET status = 'abandoned', changed_at = now() WHERE id = $1", [id]);
    this.abandoned.push(id);
    this.changes += 1;
  }

  /** Two tables in one transaction. */
  async #pay(): Promise<void> {
    const id = this.#openOrders.pop();
    if (id === undefined) return this.#order();
    await this.#client.query("BEGIN");
    await this.#client.query("UPDATE orders SET status = 'paid', changed_at = now() WHERE id = $1", [id]);
    const { rowCount } = await this.#client.query(
      "UPDATE users SET lifetime_value = lifetime_value + o.total FROM orders o WHERE o.id = $1 AND users.id = o.user_id",
      [id],
    );
    await this.#client.query("COMMIT");
    this.changes += 1 + (rowCount ?? 0);
  }

  async #openTicket(): Promise<void> {
    const id = this.#nextTicket++;
    await this.#client.query("INSERT INTO tickets (id, user_id) VALUES ($1, $2)", [id, this.#pick(this.#users)]);
    this.#openTickets.push(id);
    this.changes += 1;
  }

  async #closeTicket(): Promise<void> {
    const id = this.#openTickets.shift();
    if (id === undefined) return this.#openTicket();
    await this.#client.query("UPDATE tickets SET closed_at = now() WHERE id = $1", [id]);
    this.changes += 1;
  }

  async #changePlan(): Promise<void> {
    const { rowCount } = await this.#client.query("UPDATE users SET plan = $2 WHERE id = $1", [
      this.#pick(this.#users),
      this.#pick(PLANS),
    ]);
    this.changes += rowCount ?? 0;
  }

  async #leave(): Promise<void> {
    const place = Math.floor(this.#random() * this.#users.length);
    const [id] = this.#users.splice(place, 1);
    await this.#client.query("DELETE FROM users WHERE id = $1", [id]);
    this.changes += 1;
  }

  #pick<T>(from: readonly T[]): T {
    return from[Math.floor(this.#random() * from.length)]!;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#client.end();
  }
}

/** Orders from this total on raise an alert. */
export const BIG_ORDER = 500;
const FIRST_USERS = 200;
/** Each of another user, so that some are golden from the beginning. */
const FIRST_ORDERS = 100;
const PLANS = ["free", "pro", "team"];
const NAMES = ["Ada", "Grace", "Edsger", "Barbara", "Donald", "Radia", "Leslie", "Frances", "Ken", "Adele"];
const SURNAMES = [
  "Meyer",
  "O'Brien",
  "Núñez",
  "Okafor",
  "Sørensen",
  "Ito",
  "Kowalski",
  "García",
  '"Quote" Smith',
  "李",
];

const SCHEMA = `
CREATE TABLE users (
  id bigint PRIMARY KEY,
  name text NOT NULL,
  email text NOT NULL,
  plan text NOT NULL,
  lifetime_value numeric(12,2) NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE orders (
  id bigint PRIMARY KEY,
  user_id bigint NOT NULL,
  total numeric(12,2) NOT NULL,
  status text NOT NULL,
  changed_at timestamptz NOT NULL DEFAULT now()
);
CREATE TABLE tickets (
  id bigint PRIMARY KEY,
  user_id bigint NOT NULL,
  closed_at timestamptz
);
CREATE INDEX ON orders (user_id);
CREATE INDEX ON tickets (user_id);
-- So that the log says what a row was before: an order that becomes abandoned is told from one that was, and whose it was.
ALTER TABLE orders REPLICA IDENTITY FULL;
ALTER TABLE tickets REPLICA IDENTITY FULL;
`;

/** The same numbers for the same seed (mulberry32, public domain). */
function randomFrom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
