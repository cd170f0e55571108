import type { Delivery } from "../contracts/destination.ts";
import type { Column, Relation } from "../contracts/relation.ts";

/**
 * Writes deliveries as one JSON object each, for destinations that take whatever we send:
 *
 * `{"id":…,"type":…,"sync":…,"op":…,"key":{…},"position":…,"committed_at":…,"record":{…},"old":…}`
 *
 * `op` and `old` only for events; `committed_at` is null for a row that was read rather than changed. The bytes are the
 * same on every attempt, and row data is never parsed.
 */
export class EnvelopeWriter {
  readonly #sync: string;
  #keyOf: Relation | null = null;
  #keyColumns: readonly { readonly name: string; readonly column: Column }[] = [];
  #committedAt: bigint | null = null;
  #second = { startMicros: 0n, text: "1970-01-01T00:00:00" };
  #committedAtJson = "null";

  constructor(sync: string) {
    this.#sync = JSON.stringify(sync);
  }

  write(delivery: Delivery): string {
    const { op, record, old } = delivery;
    const event = op === "event";
    return (
      `{"id":"${delivery.id}","type":"${op}","sync":${this.#sync},` +
      (event ? `"op":"${delivery.change}",` : "") +
      `"key":${this.key(delivery)},"position":"${delivery.position}",` +
      `"committed_at":${this.#time(delivery.committedAt)},"record":${record.json()}` +
      (event ? `,"old":${old === null ? "null" : old.json()}}` : "}")
    );
  }

  /** The model's key by its columns' own names: `{"id":42}`. */
  key(delivery: Delivery): string {
    const { relation, key } = delivery;
    if (relation !== this.#keyOf) this.#useKeyOf(relation);
    let json = "{";
    for (let place = 0; place < key.length; place++) {
      const named = this.#keyColumns[place];
      if (named !== undefined)
        json += (place === 0 ? "" : ",") + named.name + columnJson(named.column, key[place] ?? "");
    }
    return `${json}}`;
  }

  #useKeyOf(relation: Relation): void {
    this.#keyOf = relation;
    this.#keyColumns = relation.key.map((place) => {
      const column = relation.columns[place];
      if (column === undefined) throw new RangeError("key column out of range");
      return { name: `${JSON.stringify(column.name)}:`, column };
    });
  }

  /** Rows of one transaction share the time, and most of a batch does. */
  #time(committedAt: bigint | null): string {
    if (committedAt !== this.#committedAt) {
      this.#committedAt = committedAt;
      this.#committedAtJson = committedAt === null ? "null" : `"${this.#timeText(committedAt)}"`;
    }
    return this.#committedAtJson;
  }

  #timeText(micros: bigint): string {
    let fraction = micros - this.#second.startMicros;
    if (fraction < 0n || fraction >= MICROS) {
      this.#second = secondOf(micros);
      fraction = micros - this.#second.startMicros;
    }
    return withFraction(this.#second.text, fraction);
  }
}

const MICROS = 1_000_000n;

/** µs since the epoch as `2026-11-24T07:14:18.123456Z`. */
export function rfc3339(micros: bigint): string {
  const { startMicros, text } = secondOf(micros);
  return withFraction(text, micros - startMicros);
}

/** The whole second that a time is in. Whole seconds are exact in a Date; the fraction never goes through one. */
function secondOf(micros: bigint): { readonly startMicros: bigint; readonly text: string } {
  const seconds = micros / MICROS - (micros % MICROS < 0n ? 1n : 0n);
  return { startMicros: seconds * MICROS, text: new Date(Number(seconds) * 1000).toISOString().slice(0, -5) };
}

function withFraction(second: string, fraction: bigint): string {
  return `${second}.${fraction.toString().padStart(6, "0")}Z`;
}

const JSON_NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;

function columnJson(column: Column, text: string): string {
  const { json } = column;
  if (typeof json === "function") return oneLine(json(text));
  if (json === "number") return JSON_NUMBER.test(text) ? text : JSON.stringify(text);
  return json === "string" ? JSON.stringify(text) : oneLine(text);
}

/** A line break in JSON can only be white space between its parts, and would end a line of NDJSON. */
function oneLine(json: string): string {
  return json.includes("\n") || json.includes("\r") ? json.replaceAll(/[\r\n]+/g, " ") : json;
}
