import { TailraceError } from "../../contracts/errors.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Sync } from "../../contracts/sync.ts";
import { didYouMean } from "../../contracts/did-you-mean.ts";

/** `tailrace.yml:14:7: sync "users_to_crm": MESSAGE`. */
export function invalid(sync: Sync, at: string, message: string): TailraceError {
  return new TailraceError("config.invalid", `${at}: sync "${sync.name}": ${message}`);
}

export function noSuchColumn(sync: Sync, at: string, relation: Relation, column: string, where = ""): TailraceError {
  const names = relation.columns.map(({ name }) => name);
  return new TailraceError(
    "source.model",
    `${at}: sync "${sync.name}": ${where}model "${sync.model.name}" has no column "${column}"${didYouMean(column, names, '"')}`,
  );
}

/** The place of a column in the relation's rows; a config error when there is none. */
export function placeOf(sync: Sync, at: string, relation: Relation, column: string): number {
  const place = relation.columns.findIndex(({ name }) => name === column);
  if (place < 0) throw noSuchColumn(sync, at, relation, column);
  return place;
}
