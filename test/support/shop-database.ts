// A model of a database with users and orders, and of a query over both, for tests of what reads queries: commits are in the log before
// snapshots see them; what is read is seen at one moment and comes at a later one.
import type { Affected, LiveQuery } from "../../src/contracts/capture.ts";
import type { Change } from "../../src/contracts/change.ts";
import type { KeyValues, SnapshotChunk, Source } from "../../src/contracts/source.ts";
import type { Values } from "../../src/contracts/values.ts";
import { relationWith } from "./syncs.ts";

const USERS = relationWith({ id: "bigint", active: "text", v: "bigint" }, { id: "1", name: "users", oldRows: "full" });
const ORDERS = relationWith(
  { id: "bigint", owner: "bigint", v: "bigint" },
  { id: "2", name: "orders", oldRows: "full" },
);
/** `SELECT u.id, o.id AS "order", greatest(u.v, o.v) AS v, u.active FROM users u JOIN orders o ON o.owner = u.id` */
export const OWNED = relationWith(
  { user: "bigint", order: "bigint", v: "bigint", active: "text" },
  { id: "3", name: "owned", key: [0, 1] },
);

export type Statement =
  | { readonly kind: "user"; readonly id: string; readonly active: "yes" | "no" }
  | { readonly kind: "order"; readonly id: string; readonly owner: string }
  | { readonly kind: "noUser" | "noOrder"; readonly id: string }
  /** Writes what is there already. */
  | { readonly kind: "touch"; readonly id: string };

interface Tables {
  readonly users: ReadonlyMap<string, Values>;
  readonly orders: ReadonlyMap<string, Values>;
}

export const placeOf = (commit: number): string => String(commit).padStart(6, "0");

export class ShopDatabase {
  readonly log: { readonly id: string; readonly changes: readonly Change[] }[] = [];
  readonly #visible = new Set<number>();
  #version = 0;
  /** When an answer comes. */
  answered: () => Promise<void> = async () => {};
  /** What the next question to the source fails with. */
  failure: Error | null = null;

  commit(statements: readonly Statement[], truncate = false): void {
    // Row locks: whoever changes a row has seen who changed it before.
    this.showAll();
    const { users, orders } = this.#tables(new Set(this.log.keys()));
    const now = { users: new Map(users), orders: new Map(orders) };
    const commit = this.log.length + 1;
    const transaction = { id: `x${commit}`, committedAt: BigInt(commit) };
    const changes: Change[] = [];
    const write = (table: "users" | "orders", id: string, after: Values | null): void => {
      const before = now[table].get(id) ?? null;
      if (before === null && after === null) return;
      if (after === null) now[table].delete(id);
      else now[table].set(id, after);
      const op = before === null ? "insert" : after === null ? "delete" : "update";
      const relation = table === "users" ? USERS : ORDERS;
      const position = `${placeOf(commit)}-${placeOf(changes.length)}`;
      changes.push({ op, relation, before, after, position, transaction });
    };
    for (const statement of statements) {
      this.#version += 1;
      const v = String(this.#version);
      const { id } = statement;
      if (statement.kind === "user") write("users", id, [id, statement.active, v]);
      else if (statement.kind === "order") write("orders", id, [id, statement.owner, v]);
      else if (statement.kind === "noUser") write("users", id, null);
      else if (statement.kind === "noOrder") write("orders", id, null);
      else if (now.users.has(id)) write("users", id, now.users.get(id)!);
    }
    if (truncate) {
      const position = `${placeOf(commit)}-${placeOf(changes.length)}`;
      changes.push({ op: "truncate", relation: ORDERS, before: null, after: null, position, transaction });
    }
    this.log.push({ id: transaction.id, changes });
  }

  showAll(): void {
    for (const index of this.log.keys()) this.#visible.add(index);
  }

  /** The rows of the query, by key. */
  rows(): Map<string, Values> {
    return this.#query(this.#tables(new Set(this.log.keys())));
  }

  #tables(visible: ReadonlySet<number>): Tables {
    const users = new Map<string, Values>();
    const orders = new Map<string, Values>();
    for (const [index, { changes }] of this.log.entries()) {
      if (!visible.has(index)) continue;
      for (const { op, relation, before, after } of changes) {
        const table = relation === USERS ? users : orders;
        if (op === "truncate") table.clear();
        else if (after === null) table.delete(before![0] as string);
        else table.set(after[0] as string, after);
      }
    }
    return { users, orders };
  }

  #query({ users, orders }: Tables): Map<string, Values> {
    const rows = new Map<string, Values>();
    for (const [id, [, owner, v]] of orders) {
      const user = users.get(owner as string);
      if (user === undefined) continue;
      const newest = String(Math.max(Number(user[2]), Number(v)));
      rows.set(JSON.stringify([owner, id]), [owner!, id, newest, user[1]!]);
    }
    return rows;
  }

  #snapshot() {
    const visible = new Set(this.#visible);
    const seen = new Set([...visible].map((index) => this.log[index]!.id));
    // What was not visible when it was asked is so the next time.
    this.showAll();
    const high = placeOf(Math.max(0, ...[...visible].map((index) => index + 1)));
    return { tables: this.#tables(visible), sees: (id: string) => seen.has(id), high };
  }

  async #answer<T>(answer: T): Promise<T> {
    const { failure } = this;
    this.failure = null;
    await this.answered();
    if (failure !== null) throw failure;
    return answer;
  }

  readonly query: LiveQuery = {
    relations: new Set([USERS.id, ORDERS.id]),
    partialPlaces: [[0], [1]],
    // As of tables whose old rows come with their key alone: the rest of the key is in the index, or in the tables as they are now.
    affected: (changes) => {
      const { tables, sees } = this.#snapshot();
      const keys = new Map<string, KeyValues>();
      const users = new Set<string>();
      const orders = new Set<string>();
      for (const { relation, before, after } of changes) {
        for (const row of [before, after])
          if (row !== null) (relation === ORDERS ? orders : users).add(row[0] as string);
      }
      for (const [order, [, owner]] of tables.orders) {
        if (!users.has(owner as string) && !orders.has(order)) continue;
        keys.set(JSON.stringify([owner, order]), [owner as string, order]);
      }
      const partial = [
        { places: [0], values: [...users].map((user) => [user]) },
        { places: [1], values: [...orders].map((order) => [order]) },
      ];
      return this.#answer<Affected>({ all: false, keys: [...keys.values()], partial, sees });
    },
  };

  /** As `Source` has them; the query's rows in chunks of two. */
  readonly source: Pick<Source, "describe" | "estimate" | "settle" | "lookup" | "scan"> = {
    describe: async () => OWNED,
    estimate: async () => null,
    settle: async () => this.showAll(),
    lookup: (_model, keys) => {
      const { tables, sees, high } = this.#snapshot();
      const all = this.#query(tables);
      const rows = keys.map((key) => all.get(JSON.stringify(key))).filter((row) => row !== undefined);
      return this.#answer<SnapshotChunk>({ relation: OWNED, rows, next: null, high, sees });
    },
    scan: (_model, after) => this.#scan(after),
  };

  async *#scan(after: KeyValues | null): AsyncGenerator<SnapshotChunk> {
    const { tables, sees, high } = this.#snapshot();
    const start = after === null ? null : JSON.stringify(after);
    const all = [...this.#query(tables)]
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .filter(([key]) => start === null || key > start);
    for (let at = 0; at === 0 || at < all.length; at += 2) {
      const rows = all.slice(at, at + 2).map(([, row]) => row);
      const last = rows.at(-1);
      const next = at + 2 >= all.length || last === undefined ? null : [last[0] as string, last[1] as string];
      yield await this.#answer<SnapshotChunk>({ relation: OWNED, rows, next, high, sees });
    }
  }
}
