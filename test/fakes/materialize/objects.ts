// What a fake Materialize maintains: rows, and every change of them with its timestamp.
import { EventEmitter } from "node:events";
import { type Field, WireRefusal } from "../pg-wire/messages.ts";

const INT8 = 20;

export type Row = readonly (string | null)[];

export interface Update {
  readonly at: bigint;
  readonly diff: 1 | -1;
  readonly row: Row;
}

/** A TABLE, or what stands for a MATERIALIZED VIEW. */
export class MaintainedObject {
  readonly id: string;
  readonly fields: readonly Field[];
  readonly updates: Update[] = [];
  /** The read frontier: what is before it was compacted. */
  since = 0n;
  isDropped = false;

  constructor(id: string, fields: readonly Field[]) {
    this.id = id;
    this.fields = fields;
  }

  rowsAt(at: bigint): readonly Row[] {
    const rows = new Map<string, { readonly row: Row; count: number }>();
    for (const { at: when, diff, row } of this.updates) {
      if (when > at) break;
      const text = JSON.stringify(row);
      const known = rows.get(text) ?? { row, count: 0 };
      known.count += diff;
      rows.set(text, known);
    }
    return [...rows.values()].flatMap(({ row, count }) => Array.from({ length: count }, () => row));
  }
}

/** One timeline: each write has a timestamp of its own, after every one that was read or was said to be complete. */
export class Timeline {
  readonly objects = new Map<string, MaintainedObject>();
  readonly changed = new EventEmitter().setMaxListeners(0);
  #ids = 0;
  #clock = 0n;

  /** The newest timestamp that a read may have: no write gets one at or before it any more. */
  read(): bigint {
    const now = BigInt(Date.now());
    if (now > this.#clock) this.#clock = now;
    return this.#clock;
  }

  /** `name`: `schema.name` */
  create(name: string, fields: readonly Field[]): MaintainedObject {
    const made = new MaintainedObject(`u${(this.#ids += 1)}`, fields);
    made.since = this.read();
    this.objects.set(name, made);
    return made;
  }

  drop(name: string): void {
    const object = this.objects.get(name);
    if (object !== undefined) object.isDropped = true;
    this.objects.delete(name);
    this.changed.emit("change");
  }

  write(object: MaintainedObject, updates: readonly Omit<Update, "at">[]): void {
    this.#clock = this.read() + 1n;
    object.updates.push(...updates.map((each) => ({ ...each, at: this.#clock })));
    this.changed.emit("change");
  }

  /** As if RETAIN HISTORY had run out for what is before now. */
  compact(object: MaintainedObject): void {
    object.since = this.#clock = this.read() + 1n;
  }
}

export function placeOf({ fields }: MaintainedObject, name: string): number {
  const place = fields.findIndex((field) => field.name === name);
  if (place < 0) throw new WireRefusal("42703", `column "${name}" does not exist`);
  return place;
}

export function compare({ oid }: Field, a: string, b: string): number {
  if (oid !== INT8) return a < b ? -1 : a > b ? 1 : 0;
  return BigInt(a) < BigInt(b) ? -1 : BigInt(a) > BigInt(b) ? 1 : 0;
}
