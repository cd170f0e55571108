// Our publication: exactly the tables that the models name, with every kind of change, partitions under their root.
import pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import { quoteName } from "../../kit/sql.ts";
import type { PublishedTable } from "./published-table.ts";

export interface Publication {
  readonly oid: string;
  /** The transaction that last changed its own row: its options, its owner. */
  readonly version: string;
  readonly allTables: boolean;
  readonly viaRoot: boolean;
  /** Whether inserts, updates, deletes and truncates are all published. */
  readonly everything: boolean;
  /** By table OID. */
  readonly members: ReadonlyMap<string, Member>;
}

export interface Member {
  /** Which membership it is: going out and in again, or a new filter, makes another. */
  readonly version: string;
  /** The table's name, quoted. */
  readonly sql: string;
}

/** null: there is none. A query that fails throws: not knowing is not "missing". */
export async function readPublication(client: pg.Client, name: string): Promise<Publication | null> {
  // One statement, so that both halves are of one moment.
  const { rows } = await client.query<
    Record<"oid" | "version" | "all_tables" | "via_root" | "everything" | "members", string>
  >(
    `SELECT p.oid::text, p.xmin::text AS version, p.puballtables::text AS all_tables, p.pubviaroot::text AS via_root,
            (p.pubinsert AND p.pubupdate AND p.pubdelete AND p.pubtruncate)::text AS everything,
            coalesce((SELECT jsonb_agg(jsonb_build_array(r.prrelid::text, r.oid::text || '/' || r.xmin::text,
                                                         n.nspname, c.relname))
                        FROM pg_publication_rel r
                        JOIN pg_class c ON c.oid = r.prrelid
                        JOIN pg_namespace n ON n.oid = c.relnamespace
                       WHERE r.prpubid = p.oid), '[]')::text AS members
       FROM pg_publication p WHERE p.pubname = $1`,
    [name],
  );
  const row = rows[0];
  if (!row) return null;
  const members = JSON.parse(row.members) as [oid: string, version: string, namespace: string, name: string][];
  return {
    oid: row.oid,
    version: row.version,
    allTables: row.all_tables === "true",
    viaRoot: row.via_root === "true",
    everything: row.everything === "true",
    members: new Map(
      members.map(([oid, version, namespace, name]) => [oid, { version, sql: quoteName(namespace, name) }]),
    ),
  };
}

export interface PublicationWish {
  readonly name: string;
  readonly tables: readonly PublishedTable[];
  /** The server's version as a number: 180004. */
  readonly serverVersion: number;
}

const LOCK_TIMEOUT_MS = 5000;

/**
 * The statements that make the publication what it should be. Throws `source.config` when a table has no usable
 * replica identity: publishing it would make the owner's own updates fail.
 */
export function publicationStatements(wish: PublicationWish, now: Publication | null): readonly string[] {
  const name = pg.escapeIdentifier(wish.name);
  if (!now) {
    for (const table of wish.tables) refuseWithoutIdentity(table);
    if (wish.tables.length === 0) return [];
    // Stored generated columns are sent from 18 on; before that they are not in the log at all.
    const generated = wish.serverVersion >= 180000 ? ", publish_generated_columns = stored" : "";
    return [
      `CREATE PUBLICATION ${name} FOR TABLE ${wish.tables.map((table) => table.sql).join(", ")} ` +
        `WITH (publish_via_partition_root = true${generated})`,
    ];
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
    statements.push(`ALTER PUBLICATION ${name} ADD TABLE ${missing.map((table) => table.sql).join(", ")}`);
  const extra = [...now.members].filter(([oid]) => !wanted.has(oid)).map(([, member]) => member.sql);
  if (extra.length > 0) statements.push(`ALTER PUBLICATION ${name} DROP TABLE ${extra.join(", ")}`);
  return statements;
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
