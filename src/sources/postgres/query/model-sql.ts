// The SQL that finds the keys of a model of which only a part is known.
import type { QueryModel } from "../../../contracts/model.ts";
import { type DescribedQuery, fromModel } from "../describe-query.ts";

/** Texts of the keys that the model has now with some values at these places; a `text[]` for each place. */
export function keysWith(model: Pick<QueryModel, "sql">, { key }: DescribedQuery, places: readonly number[]): string {
  const known = places.map((place) => key[place]!);
  const lists = known.map((_, i) => `pg_catalog.unnest($${i + 1}::pg_catalog.text[])`).join(", ");
  const names = known.map((_, i) => `p${i}`).join(", ");
  const match = known
    .map(({ sql, sqlType, operators }, i) => `${sql} ${operators.equal} p.p${i}::${sqlType}`)
    .join(" AND ");
  const texts = key.map(({ sql }, i) => `${sql}::pg_catalog.text AS k${i}`).join(", ");
  // OFFSET 0: value by value, each reaches into the model as far as one that is written there would.
  return (
    `SELECT DISTINCT o.* FROM ROWS FROM (${lists}) AS p (${names}) ` +
    `CROSS JOIN LATERAL (SELECT ${texts} FROM ${fromModel(model)} WHERE ${match} OFFSET 0) AS o`
  );
}
