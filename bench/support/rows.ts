// The rows that are moved: six columns, about 75 bytes of values.
import { sql } from "./server.ts";

export function createTable(name: string): string {
  return `CREATE TABLE public.${name} (
    id bigint PRIMARY KEY,
    name text NOT NULL,
    city text NOT NULL,
    amount numeric(12, 2) NOT NULL,
    active boolean NOT NULL,
    updated_at timestamptz NOT NULL
  )`;
}

/** The columns of row `id` (an SQL expression): texts of 20 characters each. */
export function rowOf(id: string): string {
  return (
    `${id}, 'customer ' || lpad((${id})::text, 11, '0'), left(md5((${id})::text), 20), ` +
    `((${id}) % 1000000)::numeric / 100, (${id}) % 2 = 0, '2026-01-01 00:00:00+00'::timestamptz + (${id}) * interval '1001 microseconds'`
  );
}

/** Inserts rows `from`–`to`, each `perTransaction` of them committed on their own. */
export async function insertRows(
  url: string,
  table: string,
  from: number,
  to: number,
  perTransaction: number,
): Promise<void> {
  await sql(
    url,
    // How long the loader waits for the disk changes nothing about what is in the log.
    "SET synchronous_commit = off",
    `DO $$ BEGIN
       FOR low IN ${from} .. ${to} BY ${perTransaction} LOOP
         INSERT INTO public.${table} SELECT ${rowOf("id")} FROM generate_series(low, least(low + ${perTransaction - 1}, ${to})) AS id;
         COMMIT;
       END LOOP;
     END $$`,
    // A commit that did not wait is not in reach of a reader before this.
    "SET synchronous_commit = on",
    "SELECT pg_logical_emit_message(true, 'bench', '')",
  );
}
