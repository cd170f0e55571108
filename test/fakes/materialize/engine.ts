// Exactly the statements that Tailrace sends; anything else is a syntax error.
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { type Answer, type Field, WireRefusal } from "../pg-wire/messages.ts";
import type { WireEngine, WireSession } from "../pg-wire/server.ts";
import { compare, type MaintainedObject, placeOf, type Row, type Timeline } from "./objects.ts";
import { matches } from "./predicate.ts";

const TEXT = 25;
const NUMERIC = 1700;
const BOOL = 16;
const INT8 = 20;
const MZ_TIMESTAMP = 16552;
/** How often progress is told; of the real one, every second. */
const TICK_MS = 20;

const NAME = String.raw`"(?<schema>[^"]+)"\."(?<name>[^"]+)"`;
const FROM = String.raw`(?:${NAME}|\(\s*SELECT \* FROM (?<in>[\w.]+)\s*\))`;
const ROWS = new RegExp(
  String.raw`^SELECT mz_now\(\) AS mark, r\.\* FROM \(SELECT 1\) AS one LEFT JOIN \(SELECT true AS tailrace_found, m\.\* FROM ${FROM} AS m(?: WHERE (?<where>.*))?\) AS r ON true(?<order> ORDER BY .*)?$`,
  "s",
);
const SUBSCRIBE = new RegExp(
  String.raw`^SUBSCRIBE ${FROM} WITH \(PROGRESS, SNAPSHOT = false\)(?: AS OF (?<asOf>\d+))?$`,
);
const LIMIT_0 = new RegExp(String.raw`^SELECT \* FROM ${FROM} AS m LIMIT 0$`);
const TWICE = new RegExp(
  String.raw`^SELECT count\(\*\) FROM \(SELECT 1 FROM ${FROM} AS m GROUP BY (?<by>.*) HAVING count\(\*\) > 1\) AS twice$`,
);
const IDENTIFY =
  /^SELECT o\.id, o\.type FROM mz_catalog\.mz_objects .* s\.name = '(?<schema>[^']*)' AND o\.name = '(?<name>[^']*)'$/;

type Cursor = (count: number, signal: AbortSignal) => Promise<Answer>;

export class MaterializeEngine implements WireEngine {
  readonly timeline: Timeline;
  /** Names that SELECT is not granted on. */
  readonly forbidden = new Set<string>();

  constructor(timeline: Timeline) {
    this.timeline = timeline;
  }

  open(): WireSession {
    return new Session(this);
  }
}

class Session implements WireSession {
  readonly #engine: MaterializeEngine;
  #inTransaction = false;
  #cursors = new Map<string, Cursor>();

  constructor(engine: MaterializeEngine) {
    this.#engine = engine;
  }

  async execute(sql: string, signal: AbortSignal): Promise<Answer> {
    const [word] = sql.split(" ");
    if (word === "SET") return done("SET");
    if (word === "BEGIN") {
      this.#inTransaction = true;
      return done("BEGIN");
    }
    const declared = /^DECLARE (\w+) CURSOR FOR (.*)$/s.exec(sql);
    if (declared !== null) {
      // materialize.com/docs/sql/declare: a cursor lives in a transaction.
      if (!this.#inTransaction) throw new WireRefusal("25P01", "DECLARE CURSOR can only be used in transaction blocks");
      this.#cursors.set(declared[1]!, this.#cursor(declared[2]!));
      return done("DECLARE CURSOR");
    }
    const fetched = /^FETCH (\d+) (\w+)$/.exec(sql);
    if (fetched !== null) {
      const cursor = this.#cursors.get(fetched[2]!);
      if (cursor === undefined) throw new WireRefusal("34000", `cursor "${fetched[2]}" does not exist`);
      return cursor(Number(fetched[1]), signal);
    }
    return this.#select(sql);
  }

  close(): void {
    this.#cursors.clear();
  }

  #cursor(sql: string): Cursor {
    const subscribed = SUBSCRIBE.exec(sql);
    if (subscribed !== null) return this.#subscription(this.#object(subscribed), subscribed.groups!["asOf"] ?? null);
    const { fields, rows } = this.#select(sql);
    let at = 0;
    return (count) => {
      const some = rows.slice(at, at + count);
      at += some.length;
      return Promise.resolve({ fields, rows: some, tag: `FETCH ${some.length}` });
    };
  }

  /**
   * materialize.com/docs/sql/subscribe: AS OF is inclusive, and with SNAPSHOT = false nothing at or before it comes; with PROGRESS the first row is the
   * AS OF; a progress row says that nothing comes before it any more; timestamps do not go back.
   */
  #subscription(object: MaintainedObject, given: string | null): Cursor {
    const { timeline } = this.#engine;
    const asOf = given === null ? timeline.read() : BigInt(given);
    const fields: Field[] = [
      { name: "mz_timestamp", oid: NUMERIC },
      { name: "mz_progressed", oid: BOOL },
      { name: "mz_diff", oid: INT8 },
      ...object.fields,
    ];
    let ready: Row[] = [[String(asOf), "t", null, ...object.fields.map(() => null)]];
    let told = asOf;
    let next = object.updates.findIndex(({ at }) => at > asOf);
    if (next < 0) next = object.updates.length;
    return async (count, signal) => {
      // docs.materialize.com/sql/functions/now_and_mz_now, transform-data/patterns/durable-subscriptions: history before the read frontier is gone.
      // That is said by FETCH, not by DECLARE: src/environmentd/tests/sql.rs.
      if (given !== null && told === asOf && asOf < object.since)
        throw new WireRefusal(
          "22023",
          `Timestamp (${asOf}) is not valid for all inputs: [(User(1), [${object.since}])]`,
        );
      while (ready.length === 0) {
        if (signal.aborted) throw new WireRefusal("57014", "canceling statement due to user request");
        if (object.isDropped)
          throw new WireRefusal("XX000", "subscribe has been terminated because underlying relation was dropped");
        const until = timeline.read();
        const { updates } = object;
        for (; next < updates.length && updates[next]!.at <= until; next += 1) {
          const { at, diff, row } = updates[next]!;
          ready.push([String(at), "f", String(diff), ...row]);
        }
        // By the row's bytes: what went does not come first.
        ready.sort(inOrder);
        if (until + 1n > told) {
          told = until + 1n;
          ready.push([String(told), "t", null, ...object.fields.map(() => null)]);
        }
        if (ready.length === 0) await tick(timeline, signal);
      }
      // The clock of the fake goes on by the millisecond; that it did is not worth telling each time.
      if (ready.length === 1 && ready[0]![0] !== String(asOf)) await tick(timeline, signal);
      const some = ready.slice(0, count);
      ready = ready.slice(count);
      return { fields, rows: some, tag: `FETCH ${some.length}` };
    };
  }

  #select(sql: string): Answer {
    const { timeline } = this.#engine;
    if (sql === "SELECT mz_now()")
      return selected([{ name: "mz_now", oid: MZ_TIMESTAMP }], [[String(timeline.read())]]);
    const identified = IDENTIFY.exec(sql)?.groups;
    if (identified !== undefined) {
      const object = timeline.objects.get(`${identified["schema"]}.${identified["name"]}`);
      return selected(
        [
          { name: "id", oid: TEXT },
          { name: "type", oid: TEXT },
        ],
        object === undefined ? [] : [[object.id, "materialized-view"]],
      );
    }
    const described = LIMIT_0.exec(sql);
    if (described !== null) return selected(this.#object(described).fields, []);
    const counted = TWICE.exec(sql);
    if (counted !== null) {
      const object = this.#object(counted);
      const by = [...counted.groups!["by"]!.matchAll(/"([^"]+)"/g)].map(([, name]) => placeOf(object, name!));
      const seen = new Map<string, number>();
      for (const row of object.rowsAt(timeline.read())) {
        const key = JSON.stringify(by.map((place) => row[place]));
        seen.set(key, (seen.get(key) ?? 0) + 1);
      }
      const twice = [...seen.values()].filter((count) => count > 1).length;
      return selected([{ name: "count", oid: INT8 }], [[String(twice)]]);
    }
    const read = ROWS.exec(sql);
    if (read === null) throw new WireRefusal("42601", `Expected a statement, found ${sql.slice(0, 40)}`);
    return this.#rows(read);
  }

  #rows(read: RegExpExecArray): Answer {
    const object = this.#object(read);
    const { where, order } = read.groups!;
    const mark = String(this.#engine.timeline.read());
    let rows = object.rowsAt(BigInt(mark));
    if (where !== undefined) rows = rows.filter((row) => matches(where, object, row));
    if (order !== undefined) {
      const places = [...order.matchAll(/"([^"]+)"/g)].map(([, name]) => placeOf(object, name!));
      rows = rows.toSorted((a, b) => {
        const place = places.find((each) => a[each] !== b[each]);
        return place === undefined ? 0 : compare(object.fields[place]!, a[place]!, b[place]!);
      });
    }
    const fields = [{ name: "mark", oid: MZ_TIMESTAMP }, { name: "tailrace_found", oid: BOOL }, ...object.fields];
    const found: Row[] = rows.map((row) => [mark, "t", ...row]);
    return selected(fields, found.length > 0 ? found : [[mark, null, ...object.fields.map(() => null)]]);
  }

  #object({ groups }: RegExpExecArray): MaintainedObject {
    const { schema, name, in: within } = groups!;
    const full = within ?? `${schema}.${name}`;
    const object = this.#engine.timeline.objects.get(full);
    // materialize.com/docs/security: 42501 names the object.
    if (this.#engine.forbidden.has(full))
      throw new WireRefusal("42501", `permission denied for MATERIALIZED VIEW "${full}"`);
    if (object === undefined) throw new WireRefusal("42704", `unknown catalog item '${full}'`);
    return object;
  }
}

function inOrder([a, , , ...left]: Row, [b, , , ...right]: Row): number {
  if (a !== b) return BigInt(a!) < BigInt(b!) ? -1 : 1;
  return JSON.stringify(left) < JSON.stringify(right) ? -1 : 1;
}

function selected(fields: readonly Field[], rows: readonly Row[]): Answer {
  return { fields, rows, tag: `SELECT ${rows.length}` };
}

function done(tag: string): Answer {
  return { fields: [], rows: [], tag };
}

/** Until something changes, or time has passed. */
async function tick(timeline: Timeline, signal: AbortSignal): Promise<void> {
  const over = new AbortController();
  const stop = AbortSignal.any([signal, over.signal]);
  await Promise.race([once(timeline.changed, "change", { signal: stop }), delay(TICK_MS, undefined, { signal: stop })])
    .catch(() => {})
    .finally(() => over.abort());
}
