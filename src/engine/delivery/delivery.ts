import { hash } from "node:crypto";
import type { Position } from "../../contracts/change.ts";
import type { Delivery, DeliveryOp, MappedRecord } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import type { Mode } from "../../contracts/sync.ts";
import type { Mapping } from "../mapping/compile.ts";
import type { Entry } from "./entry.ts";

/** Separates the texts of a key of several columns. */
const SEPARATOR = ",";

/** The key of a row as one text, for maps. Throws when a key column is null or was not sent. */
export function keyOf(relation: Relation, row: Values): string {
  const places = relation.key;
  if (places.length === 1) return keyText(relation, row, places[0]!);
  return keyOfTexts(keyValues(relation, row));
}

/** The same of a key's own texts. */
export function keyOfTexts(texts: readonly string[]): string {
  if (texts.length === 1) return texts[0]!;
  let key = "";
  for (const text of texts) {
    if (key !== "") key += SEPARATOR;
    // The length keeps ("a,b", "c") apart from ("a", "b,c").
    key += `${text.length}:${text}`;
  }
  return key;
}

/** The texts that {@link keyOfTexts} made the key of, so many. */
export function textsOfKey(key: string, columns: number): string[] {
  if (columns === 1) return [key];
  const texts: string[] = [];
  for (let at = 0; at < key.length;) {
    const colon = key.indexOf(":", at);
    const end = colon + 1 + Number(key.slice(at, colon));
    texts.push(key.slice(colon + 1, end));
    at = end + SEPARATOR.length;
  }
  return texts;
}

export function keyValues(relation: Relation, row: Values): string[] {
  return relation.key.map((place) => keyText(relation, row, place));
}

function keyText(relation: Relation, row: Values, place: number): string {
  const value = row[place];
  if (typeof value === "string") return value;
  const column = relation.columns[place]?.name ?? "?";
  throw new TailraceError(
    "source.model",
    `A row of ${relation.namespace}.${relation.name} has no value for its key column ${column}; it cannot be told apart from others.`,
  );
}

/**
 * What a row's deliveries are kept in order by: the record at the destination. That is the row's key, unless the destination finds records by
 * another value: then it is that value, for two rows may be one record after the other. Where the value is not known, the key has to do.
 */
export function recordKeyOf(mapping: Mapping, mode: Mode, row: Values, rowKey: string): string {
  if (mapping.matchIsKey || mode === "event" || mode === "insert") return rowKey;
  const match = mapping.matchValues(row);
  return match.every((value) => typeof value === "string") ? JSON.stringify(match) : rowKey;
}

/** The id of a row that was read, not changed: the same for every reading of one backfill. */
export function readId(sync: string, generation: number, key: string): string {
  return `${sync}-read${generation}-${shortHash(key)}`;
}

/** The id of the removal of a record whose row a resync has not found. */
export function goneId(sync: string, generation: number, recordKey: string): string {
  return `${sync}-gone${generation}-${shortHash(recordKey)}`;
}

/** The id of a row of a query, at the version that the index gave to what is said of it; see {@link RowIndex.announce}. */
export function rowId(sync: string, key: string, version: number): string {
  return `${sync}-row-${shortHash(key)}-${version.toString(36)}`;
}

/** The version in such an id; null: it is another kind of id. */
export function versionOfId(id: string): number | null {
  const found = /-row-[\w-]{22}-([0-9a-z]+)$/.exec(id);
  return found === null ? null : Number.parseInt(found[1]!, 36);
}

/** The id of a row that no index can hold, by what it holds. */
export function contentId(sync: string, key: string, rowHash: string): string {
  return `${sync}-unsent-${shortHash(key)}-${rowHash.slice(0, 16)}`;
}

/** The id of the report that several rows have this key. */
export function duplicateId(sync: string, key: string): string {
  return `${sync}-duplicate-${shortHash(key)}`;
}

function shortHash(text: string): string {
  return hash("sha256", text, "base64url").slice(0, 22);
}

/** The id of an entry's delivery. */
export function idOf(sync: string, { change, readId: id, half }: Entry): string {
  return change === null ? id! : `${sync}-${change.position}${half}`;
}

/** The delivery of an entry, mapped. Throws delivery.mapping or delivery.no_match. */
export function toDelivery(sync: string, entry: Entry): Delivery {
  const { mapping, op } = entry;
  if (op === "barrier") throw new TailraceError("internal.defect", "A barrier is never sent.");
  const row = entry.after ?? entry.before!;
  if (op !== "event" && op !== "create") requireMatch(mapping.match, mapping.matchValues(row));
  for (const place of mapping.relation.key) keyText(mapping.relation, row, place);
  return new EntryDelivery(sync, entry, op);
}

/**
 * A view of an entry, which does not change while it is sent. Thousands are on their way at a time, so that what can be made
 * when it is asked for is not kept.
 */
class EntryDelivery implements Delivery {
  readonly #sync: string;
  readonly #entry: Entry;
  readonly op: DeliveryOp;
  readonly record: MappedRecord;
  readonly old: MappedRecord | null;
  readonly attempt: number;

  /** Maps, and throws where that cannot be done. */
  constructor(sync: string, entry: Entry, op: DeliveryOp) {
    this.#sync = sync;
    this.#entry = entry;
    this.op = op;
    this.record = recordOf(entry);
    this.old = op === "event" && entry.before !== null ? entry.mapping.old(entry.before) : null;
    this.attempt = entry.attempts;
  }

  get id(): string {
    return idOf(this.#sync, this.#entry);
  }

  get key(): readonly string[] {
    return keyValues(this.relation, this.#row);
  }

  get match(): readonly Value[] {
    return this.#entry.mapping.matchValues(this.#row);
  }

  get change(): Delivery["change"] {
    return this.#entry.event;
  }

  get position(): Position {
    const { change, readAt } = this.#entry;
    return change === null ? readAt : change.position;
  }

  get committedAt(): bigint | null {
    return this.#entry.transaction?.committedAt ?? null;
  }

  get bytes(): number {
    return this.#entry.bytes;
  }

  get relation(): Relation {
    return this.#entry.mapping.relation;
  }

  get #row(): Values {
    return this.#entry.after ?? this.#entry.before!;
  }
}

function recordOf(entry: Entry): MappedRecord {
  const { mapping } = entry;
  switch (entry.op) {
    case "delete":
      return mapping.deleteRecord(entry.before!);
    case "archive":
      return mapping.archiveRecord(entry.before!);
    case "clear":
      return mapping.clearRecord(entry.before!);
    default:
      // An event about a delete speaks of the row that is gone.
      return entry.after === null ? mapping.deleteRecord(entry.before!) : mapping.record(entry.after, entry.before);
  }
}

function requireMatch(fields: readonly string[], values: readonly Value[]): void {
  for (let place = 0; place < values.length; place += 1) {
    const value = values[place];
    if (typeof value === "string") continue;
    const what = value === UNCHANGED ? "was not sent by the source" : "is null";
    throw new TailraceError("delivery.no_match", `The value of the match field \`${fields[place]}\` ${what}.`);
  }
}
