// What the publication lets through, against what the models need. Reading makes and mends it where it may; the
// statements here are for an administrator where it may not.
import type pg from "pg";
import type { Finding } from "../../contracts/finding.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import type { CheckedModel } from "./check-model.ts";
import type { ServerFacts } from "./check-server.ts";
import { addAgain, publishedName } from "./publication.ts";

interface PublicationFacts {
  readonly allTables: boolean;
  readonly viaRoot: boolean;
  /** The kinds of change that it leaves out. */
  readonly hidden: readonly string[];
  readonly owned: boolean;
  readonly owner: string;
  readonly members: readonly {
    readonly oid: string;
    readonly filtered: boolean;
    /** Names of a column list; null: all columns. */
    readonly columns: readonly string[] | null;
  }[];
  /** Schemas that are published whole (15 and later). */
  readonly schemas: readonly string[];
}

// to_jsonb, because row filters, column lists and schemas came with 15.
const FACTS = `
  SELECT json_build_object(
    'allTables', p.puballtables, 'viaRoot', p.pubviaroot,
    'hidden', array_remove(ARRAY[CASE WHEN NOT p.pubinsert THEN 'insert' END, CASE WHEN NOT p.pubupdate THEN 'update' END,
                                 CASE WHEN NOT p.pubdelete THEN 'delete' END, CASE WHEN NOT p.pubtruncate THEN 'truncate' END], NULL),
    'owned', pg_has_role(p.pubowner, 'USAGE'), 'owner', pg_get_userbyid(p.pubowner),
    'members', coalesce((
      SELECT json_agg(json_build_object(
               'oid', r.prrelid::text,
               'filtered', (to_jsonb(r) ->> 'prqual') IS NOT NULL,
               'columns', CASE WHEN jsonb_typeof(to_jsonb(r) -> 'prattrs') = 'array' THEN (
                 SELECT json_agg(a.attname ORDER BY a.attnum) FROM pg_attribute a
                  WHERE a.attrelid = r.prrelid AND to_jsonb(r) -> 'prattrs' @> to_jsonb(a.attnum)) END))
        FROM pg_publication_rel r WHERE r.prpubid = p.oid), '[]')
  )::text AS facts
  FROM pg_publication p WHERE p.pubname = $1`;

const SCHEMAS = `
  SELECT n.nspname::text AS name FROM pg_publication_namespace m
    JOIN pg_publication p ON p.oid = m.pnpubid JOIN pg_namespace n ON n.oid = m.pnnspid WHERE p.pubname = $1`;

export async function publicationFindings(
  client: pg.Client,
  models: readonly CheckedModel[],
  server: ServerFacts,
  publication: string,
): Promise<readonly Finding[]> {
  if (models.length === 0) return [];
  const { rows } = await client.query<{ facts: string }>(FACTS, [publication]);
  const row = rows[0];
  if (!row) return missingFindings(models, server, publication);
  const schemas = server.version >= 150_000 ? (await client.query<{ name: string }>(SCHEMAS, [publication])).rows : [];
  const facts: PublicationFacts = {
    ...(JSON.parse(row.facts) as Omit<PublicationFacts, "schemas">),
    schemas: schemas.map(({ name }) => name),
  };
  return existingFindings(models, facts, publication);
}

function tableList(models: readonly CheckedModel[]): string {
  return [...new Set(models.map(({ table }) => publishedName(table)))].join(", ");
}

/** It does not exist: reading makes it, if it may. */
function missingFindings(
  models: readonly CheckedModel[],
  server: ServerFacts,
  publication: string,
): readonly Finding[] {
  const foreign = models.filter(({ table }) => !table.owned);
  if (server.mayCreate && foreign.length === 0) return [];
  const lacks = [
    ...(server.mayCreate ? [] : [`CREATE on the database ${server.database}`]),
    ...(foreign.length === 0 ? [] : [`ownership of ${tableList(foreign)}`]),
  ];
  const generated = server.version >= 180_000 ? ", publish_generated_columns = stored" : "";
  return [
    {
      level: "error",
      code: "postgres.publication_privilege",
      message: `There is no publication ${publication}, and the role ${quoteIdentifier(server.role)} may not make it: it lacks ${lacks.join(" and ")}.`,
      fix:
        `CREATE PUBLICATION ${quoteIdentifier(publication)} FOR TABLE ${tableList(models)} ` +
        `WITH (publish_via_partition_root = true${generated}); -- as an administrator`,
    },
  ];
}

function existingFindings(
  models: readonly CheckedModel[],
  facts: PublicationFacts,
  publication: string,
): readonly Finding[] {
  const findings: Finding[] = [];
  const name = quoteIdentifier(publication);
  const asOwner = facts.owned ? "" : ` -- as its owner, ${facts.owner}`;
  const add = (level: Finding["level"], code: string, message: string, fix: string, subject?: string) => {
    findings.push({ level, code: `postgres.${code}`, message, fix, subject });
  };
  if (facts.allTables) {
    add(
      "error",
      "publication_all_tables",
      `The publication ${publication} is FOR ALL TABLES: every table's changes would be sent, and a table without a replica identity could not be updated any more.`,
      `Name another in \`publication\`, or: DROP PUBLICATION ${name};${asOwner}`,
    );
    return findings;
  }
  // What the owner may mend is mended when reading starts.
  const mended = facts.owned ? "; it is changed when reading starts" : "";
  const level = facts.owned ? "warning" : "error";
  if (facts.hidden.length > 0) {
    add(
      level,
      "publication_operations",
      `The publication ${publication} leaves out every ${facts.hidden.join(" and ")}${mended}.`,
      `ALTER PUBLICATION ${name} SET (publish = 'insert, update, delete, truncate');${asOwner}`,
    );
  }
  if (!facts.viaRoot && models.some(({ table }) => table.kind === "p")) {
    add(
      level,
      "publication_via_root",
      `The publication ${publication} names the rows of partitioned tables by their partitions${mended}.`,
      `ALTER PUBLICATION ${name} SET (publish_via_partition_root = true);${asOwner}`,
    );
  }
  const byOid = new Map(facts.members.map((member) => [member.oid, member]));
  for (const { table, described } of models) {
    const subject = `${table.namespace}.${table.name}`;
    const member = byOid.get(table.oid);
    const again = `${addAgain(publication, table)}${asOwner}`;
    if (!member) {
      if (facts.owned && table.owned) continue;
      if (facts.schemas.includes(table.namespace)) continue;
      const statement = `ALTER PUBLICATION ${name} ADD TABLE ${publishedName(table)};`;
      add(
        "error",
        "publication_table",
        `The publication ${publication} does not hold ${table.sql}, and the role may not add it.`,
        `${statement} -- as the owner of both (${facts.owner}, ${table.owner})`,
        subject,
      );
      continue;
    }
    if (member.filtered) {
      add(
        "error",
        "publication_filter",
        `The publication ${publication} has a row filter on ${table.sql}: other rows never arrive.`,
        again,
        subject,
      );
    }
    const columns = described?.columns ?? table.columns.filter(({ generated }) => generated === "");
    const hidden = member.columns && columns.filter(({ name: column }) => !member.columns!.includes(column));
    if (hidden && hidden.length > 0) {
      add(
        "error",
        "publication_columns",
        `The publication ${publication} has a column list on ${table.sql} that leaves out ${hidden.map((column) => column.name).join(", ")}.`,
        again,
        subject,
      );
    }
  }
  return findings;
}
