// Our publication: exactly the tables that the models name, with every kind of change, partitions under their root.
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { quoteName } from "../../kit/sql.ts";
import type { TableInfo } from "./catalog.ts";
import type { PublishedTable } from "./published-table.ts";

export interface Publication {
  readonly oid: string;
  /** The transaction that last changed its own row: its options, its owner. */
  readonly version: string;
  readonly allTables: boolean;
  readonly viaRoot: boolean;
  /** Whether inserts, updates, deletes and truncates are all published. */
  readonly everything: boolean;
  /** Whether stored generated columns are published; never before 18. */
  readonly generated: boolean;
  /** By table OID. */
  readonly members: ReadonlyMap<string, Member>;
}

export interface Member {
  /** Which membership it is: going out and in again, or a new filter, makes another. */
  readonly version: string;
  /** The table's name, quoted. */
  readonly sql: string;
  /** It is published because its whole schema is. */
  readonly bySchema: boolean;
  /** A row filter leaves rows out. */
  readonly filtered: boolean;
  /** Names of a column list; null: all columns. */
  readonly columns: readonly string[] | null;
}

// to_jsonb, because row filters and column lists came with 15, generated columns with 18. One statement, so that both
// halves are of one moment.
const PUBLICATION = `
  SELECT json_build_object(
    'oid', p.oid::text, 'version', p.xmin::text, 'allTables', p.puballtables, 'viaRoot', p.pubviaroot,
    'everything', p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate,
    'generated', to_jsonb(p) ->> 'pubgencols' IS NOT DISTINCT FROM 's',
    'members', coalesce((
      SELECT json_agg(json_build_object(
               'oid', r.prrelid::text, 'version', r.oid::text || '/' || r.xmin::text, 'namespace', n.nspname, 'name', c.relname,
               'filtered', to_jsonb(r) ->> 'prqual' IS NOT NULL,
               'columns', CASE WHEN jsonb_typeof(to_jsonb(r) -> 'prattrs') = 'array' THEN (
                 SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                  WHERE a.attrelid = r.prrelid AND to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum)) END))
        FROM pg_publication_rel r JOIN pg_class c ON c.oid = r.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace
       WHERE r.prpubid = p.oid), '[]')
  )::text AS facts, current_setting('server_version_num') AS server
  FROM pg_publication p WHERE p.pubname = $1`;

// Partitions are published with their root.
const BY_SCHEMA = `
  SELECT c.oid::text, 'schema/' || m.oid::text || '/' || m.xmin::text AS version, n.nspname::text AS namespace, c.relname::text AS name
    FROM pg_publication_namespace m JOIN pg_namespace n ON n.oid = m.pnnspid JOIN pg_class c ON c.relnamespace = n.oid
   WHERE m.pnpubid = $1::oid AND c.relkind IN ('r', 'p') AND c.relpersistence = 'p' AND NOT c.relispartition`;

interface RawMember {
  readonly oid: string;
  readonly version: string;
  readonly namespace: string;
  readonly name: string;
}

/** null: there is none. A query that fails throws: not knowing is not "missing". */
export async function readPublication(client: pg.Client, name: string): Promise<Publication | null> {
  const { rows } = await client.query<{ facts: string; server: string }>(PUBLICATION, [name]);
  const row = rows[0];
  if (!row) return null;
  const facts = JSON.parse(row.facts) as Omit<Publication, "members"> & {
    readonly members: readonly (RawMember & Pick<Member, "filtered" | "columns">)[];
  };
  const members = new Map<string, Member>();
  // Whole schemas can be published from 15 on.
  if (Number(row.server) >= 150000) {
    const found = await client.query<RawMember>(BY_SCHEMA, [facts.oid]);
    for (const { oid, version, namespace, name: table } of found.rows) {
      members.set(oid, { version, sql: quoteName(namespace, table), bySchema: true, filtered: false, columns: null });
    }
  }
  for (const { oid, version, namespace, name: table, filtered, columns } of facts.members) {
    members.set(oid, { version, sql: quoteName(namespace, table), bySchema: false, filtered, columns });
  }
  return { ...facts, members };
}

export interface PublicationWish {
  readonly name: string;
  readonly tables: readonly PublishedTable[];
  /** Its name comes from the settings: others may have put tables into it. */
  readonly shared: boolean;
  /** The server's version as a number: 180004. */
  readonly serverVersion: number;
}

const LOCK_TIMEOUT_MS = 5000;

/** A table as a publication names it: without the tables that inherit from it. */
export function publishedName({ sql, children }: Pick<TableInfo, "sql" | "children">): string {
  return children ? `ONLY ${sql}` : sql;
}

/** Puts a table in anew, without row filter and column list. */
export function addAgain(publication: string, table: Pick<TableInfo, "sql" | "children">): string {
  const alter = `ALTER PUBLICATION ${pg.escapeIdentifier(publication)}`;
  return `BEGIN; ${alter} DROP TABLE ${publishedName(table)}; ${alter} ADD TABLE ${publishedName(table)}; COMMIT;`;
}

/**
 * The statements that make the publication what it should be. Throws `source.config` when a table has no usable
 * replica identity (publishing it would make the owner's own updates fail), and when a row filter or a column list
 * hides changes: somebody meant it, so it is not simply taken away.
 */
export function publicationStatements(wish: PublicationWish, now: Publication | null): readonly string[] {
  const name = pg.escapeIdentifier(wish.name);
  if (!now) {
    for (const table of wish.tables) refuseWithoutIdentity(table);
    // Stored generated columns are sent from 18 on; before that they are not in the log at all.
    const generated = wish.serverVersion >= 180000 ? ", publish_generated_columns = stored" : "";
    // Queries may need nothing of the log; reading it needs a publication all the same.
    const tables = wish.tables.map((table) => publishedName(table.info)).join(", ");
    const forTables = tables === "" ? "" : ` FOR TABLE ${tables}`;
    return [`CREATE PUBLICATION ${name}${forTables} WITH (publish_via_partition_root = true${generated})`];
  }
  if (now.allTables) {
    throw new TailraceError(
      "source.config",
      `the publication ${wish.name} is FOR ALL TABLES; Tailrace wants one of its own: choose another name in \`publication\``,
    );
  }
  const statements: string[] = [];
  if (!now.everything || !now.viaRoot) {
    statements.push(
      `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)`,
    );
  }
  const wanted = new Set(wish.tables.map((table) => table.oid));
  const missing = wish.tables.filter((table) => !now.members.has(table.oid));
  for (const table of missing) refuseWithoutIdentity(table);
  if (missing.length > 0)
    statements.push(
      `ALTER PUBLICATION ${name} ADD TABLE ${missing.map((table) => publishedName(table.info)).join(", ")}`,
    );
  for (const table of wish.tables) refuseHidden(wish.name, table, now);
  if (wish.shared) return statements;
  // ONLY: tables that inherit from it are members, or not, for themselves.
  const extra = [...now.members].filter(([oid, member]) => !wanted.has(oid) && !member.bySchema);
  if (extra.length > 0) {
    statements.push(
      `ALTER PUBLICATION ${name} DROP TABLE ${extra.map(([, member]) => `ONLY ${member.sql}`).join(", ")}`,
    );
  }
  return statements;
}

function refuseHidden(publication: string, { oid, sql, info }: PublishedTable, now: Publication): void {
  const member = now.members.get(oid);
  if (!member) return;
  const hidden = info.columns
    .filter(({ generated }) => generated === "" || (generated === "s" && now.generated))
    .map(({ name }) => name)
    .filter((name) => member.columns !== null && !member.columns.includes(name));
  const what = member.filtered
    ? `has a row filter on ${sql}: other rows never arrive`
    : hidden.length > 0
      ? `has a column list on ${sql} that leaves out ${hidden.join(", ")}`
      : null;
  if (what === null) return;
  throw new TailraceError(
    "source.config",
    `the publication ${publication} ${what}. Run: ${addAgain(publication, info)}`,
  );
}

/** Stored generated columns that the publication leaves out, though the server could send them. */
export function unpublishedColumns(wish: PublicationWish, now: Publication): readonly string[] {
  if (wish.serverVersion < 180000 || now.generated) return [];
  return wish.tables.flatMap(({ sql, info }) =>
    info.columns.filter(({ generated }) => generated === "s").map(({ name }) => `${name} of ${sql}`),
  );
}

function refuseWithoutIdentity(table: PublishedTable): void {
  if (table.withoutIdentity.length === 0) return;
  const [first] = table.withoutIdentity;
  throw new TailraceError(
    "source.config",
    `${first} has no usable replica identity; publishing it would make its own updates and deletes fail. ` +
      `Add a primary key, or: ALTER TABLE ${first} REPLICA IDENTITY FULL`,
  );
}

/** Runs {@link publicationStatements} in one transaction. Throws `source.config` with the statements when it may not. */
export async function ensurePublication(
  client: pg.Client,
  wish: PublicationWish,
  now: Publication | null,
): Promise<Publication> {
  const statements = publicationStatements(wish, now);
  if (statements.length > 0) {
    try {
      await client.query("BEGIN");
      await client.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT_MS}`);
      for (const statement of statements) await client.query(statement);
      await client.query("COMMIT");
    } catch (error) {
      await client.query("ROLLBACK").catch(() => {});
      const code = (error as { code?: string }).code;
      if (code === "42501") {
        throw new TailraceError(
          "source.config",
          `the role may not change the publication; run as the tables' owner: ${statements.join("; ")}`,
        );
      }
      if (code === "55P03") {
        throw new TailraceError(
          "source.blocked",
          "a table is locked by another transaction while it is added to the publication",
        );
      }
      throw error;
    }
  }
  const made = await readPublication(client, wish.name);
  if (!made)
    throw new TailraceError("source.config", `the publication ${wish.name} was dropped while it was being made`);
  return made;
}
