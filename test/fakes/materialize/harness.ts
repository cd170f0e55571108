import type { FeedCommit, FeedHarness, FeedTestRow } from "../../conformance/feed-source.ts";
import type { Field } from "../pg-wire/messages.ts";
import { LOGIN, WireServer } from "../pg-wire/server.ts";
import { MaterializeEngine } from "./engine.ts";
import { type Row, Timeline, type Update } from "./objects.ts";

export const FIELDS: readonly Field[] = [
  { name: "id", oid: 20 },
  { name: "name", oid: 25 },
  { name: "amount", oid: 1700 },
  { name: "at", oid: 1184 },
];
const NAME = "shop.t";

export interface MaterializeStage extends AsyncDisposable {
  readonly timeline: Timeline;
  readonly engine: MaterializeEngine;
  readonly server: WireServer;
  readonly settings: Readonly<Record<string, unknown>>;
}

export async function startMaterialize(): Promise<MaterializeStage> {
  const timeline = new Timeline();
  const engine = new MaterializeEngine(timeline);
  const server = await WireServer.start(engine);
  const settings = { host: "127.0.0.1", port: server.port, ...LOGIN };
  return { timeline, engine, server, settings, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

/** `model`: how the object is read. */
export async function materializeHarness(model: Readonly<Record<string, unknown>>): Promise<FeedHarness> {
  const fake = await startMaterialize();
  const { timeline, server } = fake;
  let object = timeline.create(NAME, FIELDS);
  let logins = server.logins;
  const rows = (): readonly Row[] => object.rowsAt(timeline.read());
  return {
    source: { type: "materialize", ...fake.settings },
    model: { ...model, key: "id" },
    write: (commit) => {
      timeline.write(object, updatesOf(rows(), commit));
      return Promise.resolve();
    },
    // A view has no files.
    rewriteFiles: () => Promise.resolve(false),
    rows: () =>
      Promise.resolve(
        new Map(rows().map(([id, name, amount, at]) => [id!, { id: id!, name: name!, amount: amount!, at: at! }])),
      ),
    loseHistory: () => {
      timeline.compact(object);
      return Promise.resolve();
    },
    recreate: () => {
      const kept = rows();
      timeline.drop(NAME);
      object = timeline.create(NAME, FIELDS);
      timeline.write(
        object,
        kept.map((row) => ({ diff: 1, row })),
      );
      return Promise.resolve();
    },
    faults: {
      unavailable: (times) => void (server.unavailable += times),
      loseAnswers: (times) => void (server.lost += times),
      endSession: () => {
        logins = server.logins;
        server.endSessions();
      },
      get done() {
        return server.unavailable === 0 && server.lost === 0 && server.logins > logins;
      },
    },
    [Symbol.asyncDispose]: () => fake[Symbol.asyncDispose](),
  };
}

function updatesOf(
  rows: readonly Row[],
  { insert = [], update = [], delete: gone = [], rename = [] }: FeedCommit,
): Omit<Update, "at">[] {
  const updated = new Map(update.map((row) => [row.id, row]));
  const renamed = new Map(rename);
  const updates: Omit<Update, "at">[] = insert.map((row) => ({ diff: 1, row: textsOf(row) }));
  for (const row of rows) {
    const id = row[0]!;
    const change = updated.get(id);
    const after = change !== undefined ? textsOf(change) : renamed.has(id) ? [renamed.get(id)!, ...row.slice(1)] : null;
    // SUBSCRIBE is of net changes: a row that is written as it was does not come.
    if (JSON.stringify(after) === JSON.stringify(row)) continue;
    if (after !== null || gone.includes(id)) updates.push({ diff: -1, row });
    if (after !== null) updates.push({ diff: 1, row: after });
  }
  return updates;
}

function textsOf({ id, name, amount, at }: FeedTestRow): Row {
  return [id, name, amount, at === null ? null : `${at}+00`];
}
