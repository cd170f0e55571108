import type { Relation } from "../../contracts/relation.ts";
import type { FieldMapping, Sync } from "../../contracts/sync.ts";
import type { MappedRecord, Shape } from "../../contracts/destination.ts";
import { UNCHANGED, type Value, type Values } from "../../contracts/values.ts";
import { invalid } from "./configuration-error.ts";
import { compileField, constantText, type CompiledField } from "./field.ts";
import { RecordShape, ShapedRecord } from "./mapped-record.ts";
import { matchFields } from "./match.ts";
import { oldColumnsOf, type OldColumn } from "./old-columns.ts";
import { compileWhere, type Filter } from "./where.ts";

/** A sync's `map`, `match` and `where` for one version of its relation: positional reads, no names. */
export interface Mapping {
  /** What it was compiled for. */
  readonly relation: Relation;
  readonly shape: Shape;
  /** The destination's fields that identify a record; empty when the mode needs none and the key is not mapped. */
  readonly match: readonly string[];
  /** The match fields are the key's columns, as they are: a record is found by its row's key. */
  readonly matchIsKey: boolean;
  /** Places of the columns that identify a row and its record: the key's, then what else the match fields read. */
  readonly identity: readonly number[];
  /** For ModelNeeds: columns beside the key whose old values are needed. */
  readonly oldColumns: readonly OldColumn[];
  /**
   * The row as it is sent by `upsert`, `create`, `update` and `event`. `before`: the old row, for `old.x` in mode event.
   * Throws delivery.mapping.
   */
  record(after: Values, before: Values | null): MappedRecord;
  /** Mode event: the old row mapped; what the source did not send is left out. */
  old(before: Values): MappedRecord;
  /** By place of {@link match}; UNCHANGED when it was not sent, null when it is null or cannot be written. Never throws. */
  matchValues(row: Values): Value[];
  /** What could be had of the old row. Also what a mode event sync sends of a deleted row. */
  deleteRecord(before: Values): MappedRecord;
  /** The match fields and the archive fields, in a shape of its own. */
  archiveRecord(before: Values): MappedRecord;
  /** The match fields, and null in every other field. */
  clearRecord(before: Values): MappedRecord;
  /** Whether the row is in the sync; null: cannot be told, because a column was not sent. */
  readonly filter: Filter | null;
  /** Whether a column that the map or the where reads of the new row was not sent. */
  incomplete(after: Values): boolean;
  /** Places of the columns that the map and the where read, ascending. */
  readonly reads: readonly number[];
}

/** Throws config errors: `source.model` for a column that is not there, `config.invalid` for the rest. */
export function compileMapping(sync: Sync, relation: Relation): Mapping {
  return new CompiledMapping(sync, relation);
}

class CompiledMapping implements Mapping {
  readonly relation: Relation;
  readonly shape: RecordShape;
  readonly match: readonly string[];
  readonly matchIsKey: boolean;
  readonly identity: readonly number[];
  readonly oldColumns: readonly OldColumn[];
  readonly filter: Filter | null;
  readonly reads: readonly number[];
  readonly #fields: readonly CompiledField[];
  /** The column to copy by field; -1 where the field's own function is asked. */
  readonly #places: readonly number[];
  /** Every column under its own name: a record holds the row itself. */
  readonly #identity: boolean;
  readonly #matchFields: readonly CompiledField[];
  readonly #isMatch: readonly boolean[];
  readonly #archiveShape: RecordShape;
  readonly #archiveValues: readonly (string | null)[];
  readonly #newReads: readonly number[];

  constructor(sync: Sync, relation: Relation) {
    const fields = (sync.map ?? everyColumn(sync, relation)).map((mapping) => compileField(sync, mapping, relation));
    refuseDuplicates(sync, fields);
    const where = sync.where === null ? null : compileWhere(sync, sync.where, relation);
    this.relation = relation;
    this.#fields = fields;
    this.shape = new RecordShape(
      fields.map(({ field }) => field),
      fields.map(({ encoding }) => encoding),
    );
    this.#places = fields.map(({ plainPlace }) => plainPlace ?? -1);
    this.#identity = fields.length === relation.columns.length && this.#places.every((place, index) => place === index);
    this.#matchFields = matchFields(sync, relation, fields);
    this.match = this.#matchFields.map(({ field }) => field.name);
    this.matchIsKey =
      this.#matchFields.length === relation.key.length &&
      this.#matchFields.every(({ plainPlace }, index) => plainPlace === relation.key[index]);
    this.identity = [...new Set([...relation.key, ...this.#matchFields.flatMap(({ reads }) => reads)])];
    this.#isMatch = fields.map((field) => this.#matchFields.includes(field));
    this.filter = where?.filter ?? null;
    this.#newReads = ascending([...fields.flatMap(({ reads }) => reads), ...(where?.reads ?? [])]);
    this.reads = ascending([...this.#newReads, ...fields.flatMap(({ oldReads }) => oldReads)]);
    this.oldColumns = oldColumnsOf(sync, relation, fields, this.#matchFields, where?.reads ?? []);
    const archive = sync.onDelete.kind === "archive" ? Object.entries(sync.onDelete.fields) : [];
    const constants = archive.map(([name, value]) => ({ name, ...constantText(sync, sync.at, name, value) }));
    // A match field that is also an archive field would be lost to whoever looks for the record.
    const clash = constants.find(({ name }) => this.match.includes(name));
    if (clash !== undefined) throw invalid(sync, sync.at, `on_delete: archive: "${clash.name}" is the match field`);
    this.#archiveValues = constants.map(({ text }) => text);
    this.#archiveShape = new RecordShape(
      [
        ...this.#matchFields.map(({ field }) => field),
        ...constants.map(({ name, encoding }) => ({ name, type: null, json: encoding })),
      ],
      [...this.#matchFields.map(({ encoding }) => encoding), ...constants.map(({ encoding }) => encoding)],
    );
  }

  record(after: Values, before: Values | null): MappedRecord {
    if (this.#identity) return new ShapedRecord(this.shape, after);
    const places = this.#places;
    const values: Value[] = [];
    for (let index = 0; index < places.length; index++) {
      const place = places[index]!;
      values.push(place >= 0 ? (after[place] as Value) : this.#fields[index]!.read(after, before));
    }
    return new ShapedRecord(this.shape, values);
  }

  old(before: Values): MappedRecord {
    // The old row's own old row is not known.
    const unknown = (field: CompiledField): boolean => field.oldReads.length > 0;
    return this.#partial((field) => (unknown(field) ? UNCHANGED : field.readOld(before, null)));
  }

  matchValues(row: Values): Value[] {
    const values: Value[] = [];
    for (const field of this.#matchFields) {
      values.push(field.plainPlace === null ? field.readMatch(row) : (row[field.plainPlace] as Value));
    }
    return values;
  }

  deleteRecord(before: Values): MappedRecord {
    return this.#partial((field) => field.readOld(before, before));
  }

  archiveRecord(before: Values): MappedRecord {
    return new ShapedRecord(this.#archiveShape, [...this.matchValues(before), ...this.#archiveValues]);
  }

  clearRecord(before: Values): MappedRecord {
    return this.#partial((field, index) => (this.#isMatch[index]! ? field.readMatch(before) : null));
  }

  incomplete(after: Values): boolean {
    for (const place of this.#newReads) if (after[place] === UNCHANGED) return true;
    return false;
  }

  #partial(read: (field: CompiledField, index: number) => Value): MappedRecord {
    return new ShapedRecord(this.shape, this.#fields.map(read));
  }
}

function everyColumn(sync: Sync, relation: Relation): readonly FieldMapping[] {
  return relation.columns.map(({ name }) => {
    return { kind: "column", field: name, column: name, old: false, null: "send", as: null, at: sync.at };
  });
}

function refuseDuplicates(sync: Sync, fields: readonly CompiledField[]): void {
  const seen = new Set<string>();
  for (const { field } of fields) {
    if (seen.has(field.name)) throw invalid(sync, sync.at, `field "${field.name}" is mapped twice`);
    seen.add(field.name);
  }
}

function ascending(places: readonly number[]): readonly number[] {
  return [...new Set(places)].sort((a, b) => a - b);
}
