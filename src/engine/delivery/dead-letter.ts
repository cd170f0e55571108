import type { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { DeadLetter } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { idOf, keyValues } from "./delivery.ts";
import type { Entry } from "./entry.ts";

/** What is kept of an entry that was rejected. */
export function deadLetterOf(sync: Sync, entry: Entry, error: TailraceError): DeadLetter {
  const { change, mapping } = entry;
  const toldOnce = sync.mode === "event" || sync.mode === "insert";
  return {
    id: idOf(sync.name, entry),
    key: keyValues(mapping.relation, entry.after ?? entry.before!),
    op: entry.op,
    position: change === null ? entry.readAt : change.position,
    code: error.code,
    message: error.message,
    answer: error.answer ?? null,
    attempts: entry.attempts,
    failedAtMs: Date.now(),
    payload: toldOnce ? payloadOf(entry) : null,
  };
}

/** The rows behind an event, by column name; a column that was not sent is not in it. */
function payloadOf(entry: Entry): string {
  const { relation } = entry.mapping;
  return JSON.stringify({
    event: entry.event,
    before: entry.before === null ? null : byName(relation, entry.before),
    after: entry.after === null ? null : byName(relation, entry.after),
  });
}

function byName(relation: Relation, row: Values): [string, string | null][] {
  return relation.columns.flatMap(({ name }, place): [string, string | null][] => {
    const value = row[place]!;
    return value === UNCHANGED ? [] : [[name, value]];
  });
}

/** The rows of a payload again, by the columns of today; a column that it does not have is UNCHANGED. */
export function rowsOf(
  payload: string,
  relation: Relation,
): { readonly event: Entry["event"]; readonly before: Values | null; readonly after: Values | null } {
  const kept = JSON.parse(payload) as {
    event: Entry["event"];
    before: [string, string | null][] | null;
    after: [string, string | null][] | null;
  };
  const row = (pairs: [string, string | null][] | null): Values | null => {
    if (pairs === null) return null;
    const values = new Map(pairs);
    return relation.columns.map(({ name }): Value => (values.has(name) ? values.get(name)! : UNCHANGED));
  };
  return { event: kept.event, before: row(kept.before), after: row(kept.after) };
}
