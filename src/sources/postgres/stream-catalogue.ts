// What the stream asks the catalogue, on the connection beside it.
import { describeTable } from "./catalog.ts";
import type { SqlSession } from "./sql-session.ts";
import type { Catalogue } from "./table-shapes.ts";
import { type TypeInfo, columnFor, loadTypes } from "./types.ts";

/** A session that is asked beside the stream and does not answer for so long is cut: the stream must not stall on it. */
const ANSWER_WITHIN_MS = 20_000;

export function answerSoon(): AbortSignal {
  return AbortSignal.timeout(ANSWER_WITHIN_MS);
}

export function streamCatalogue(side: SqlSession): Catalogue {
  return {
    table: (oid) => side.use(answerSoon(), (client) => describeTable(client, { oid })),

    columns: (columns, announced) =>
      side.use(answerSoon(), async (client) => {
        const types = await loadTypes(
          client,
          columns.map((column) => column.typeOid),
        );
        return columns.map(({ name, typeOid }) => {
          let type: TypeInfo = types.get(typeOid)!;
          const said = announced.get(typeOid);
          // A type that was dropped since: the stream still says what it was called.
          if (type.name === "unknown" && said) type = { ...type, name: `${said.namespace}.${said.name}` };
          return { name, typeOid, ...columnFor(type, name, false) };
        });
      }),

    stranger: (oid, publication) =>
      side.use(answerSoon(), async (client) => {
        const { rows } = await client.query<{ published: string; ancestors: string }>(
          `SELECT EXISTS (SELECT FROM pg_publication_tables t JOIN pg_class c ON c.relname = t.tablename
                            JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = t.schemaname
                           WHERE t.pubname = $2 AND c.oid = $1::oid)::text AS published,
                  (SELECT coalesce(jsonb_agg(a.relid::oid::text), '[]') FROM pg_partition_ancestors($1::oid) a)::text AS ancestors`,
          [oid, publication],
        );
        const row = rows[0]!;
        return { published: row.published === "true", ancestors: JSON.parse(row.ancestors) as string[] };
      }),
  };
}
