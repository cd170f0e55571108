import type pg from "pg";
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import { quoteIdentifier } from "../../kit/sql.ts";
import { type TableInfo, type UniqueIndex, describeTable } from "./catalog.ts";
import { type DescribedModel, describe, notReadable } from "./describe.ts";

export interface ModelCheckOptions {
  readonly schema: string;
  readonly publication: string;
  readonly role: string;
  readonly version: number;
}

export interface CheckedModel {
  readonly name: string;
  readonly table: TableInfo;
  readonly described: DescribedModel | null;
}

const FULL_COST = "Every update and delete then writes the whole old row to the log.";

/** One model's table; `model` is null when there is no such table. */
export async function modelFindings(
  client: pg.Client,
  need: ModelNeeds<TableModel>,
  options: ModelCheckOptions,
): Promise<{ readonly findings: readonly Finding[]; readonly model: CheckedModel | null }> {
  const { model } = need;
  const namespace = model.table.namespace ?? options.schema;
  const subject = `${namespace}.${model.table.name}`;
  const findings: Finding[] = [];
  const add = (level: Finding["level"], code: string, message: string, fix?: string) => {
    findings.push({ level, code: `postgres.${code}`, message, fix, subject });
  };
  const role = quoteIdentifier(options.role);
  const table = await describeTable(client, { namespace, name: model.table.name });
  let described: DescribedModel | null = null;
  try {
    described = await describe(client, model, options);
  } catch (error) {
    if (!(error instanceof TailraceError) || error.code !== "source.model") throw error;
    const what = table && notReadable(table);
    if (what)
      add("error", "not_in_log", `${table.sql} is ${what}: the log does not hold its rows.`, notInLogFix(table));
    else add("error", "model", error.message, table ? undefined : "Correct `table`, or create it.");
    if (!table || what) return { findings, model: null };
  }
  if (!table) return { findings, model: null };
  if (!table.schemaUsable) {
    add(
      "error",
      "usage",
      `The role may not use the schema ${namespace}.`,
      `GRANT USAGE ON SCHEMA ${quoteIdentifier(namespace)} TO ${role};`,
    );
  }
  if (!table.readable)
    add("error", "select", `The role may not read ${table.sql}.`, `GRANT SELECT ON TABLE ${table.sql} TO ${role};`);
  if (table.rowSecurity) {
    add(
      "error",
      "row_security",
      `Row security hides rows of ${table.sql} from the role: a backfill would miss them, while the log has them all.`,
      `ALTER ROLE ${role} BYPASSRLS;`,
    );
  }
  const unlogged = table.kind === "p" ? table.leaves.filter(({ persistence }) => persistence === "u") : [];
  for (const leaf of unlogged) {
    add(
      "error",
      "not_in_log",
      `The partition ${leaf.sql} is unlogged: the log does not hold its rows.`,
      `ALTER TABLE ${leaf.sql} SET LOGGED;`,
    );
  }
  if (table.children) {
    add(
      "warning",
      "inheritance",
      `Other tables inherit from ${table.sql}: their rows are not read with it.`,
      "Give each of them a model of its own, or make it a partitioned table.",
    );
  }
  const nullable = new Set(table.columns.filter(({ notNull }) => !notNull).map(({ name }) => name));
  const index =
    described?.index ?? table.uniqueIndexes.find(({ columns }) => !columns.some((name) => nullable.has(name))) ?? null;
  findings.push(...identityFindings(need, table, index).map((finding) => ({ ...finding, subject })));
  if (described) findings.push(...generatedFindings(described, options).map((finding) => ({ ...finding, subject })));
  return { findings, model: { name: model.name, table, described } };
}

function notInLogFix(table: TableInfo): string {
  switch (table.kind) {
    case "r":
    case "p":
      return table.persistence === "u" ? `ALTER TABLE ${table.sql} SET LOGGED;` : "Use an ordinary table.";
    case "f":
      return "Read the table on the server where it lives.";
    default:
      return "Name the tables that it reads, or keep its rows in a table.";
  }
}

/** What the log says of old rows, against what is needed of them. */
function identityFindings(need: ModelNeeds, table: TableInfo, index: UniqueIndex | null): readonly Finding[] {
  const without = table.leaves.filter(({ replicaIdentity }) => replicaIdentity.columns.length === 0);
  if (without.length > 0) {
    const names = without.map(({ sql }) => sql).join(", ");
    return [
      {
        level: "error",
        code: "postgres.replica_identity",
        message: `${names} has no usable replica identity: published so, its own updates and deletes would fail. It is not published until it has one.`,
        fix: identityFix(table, index, without),
      },
    ];
  }
  const findings: Finding[] = [];
  const held = (name: string) => table.leaves.every(({ replicaIdentity }) => replicaIdentity.columns.includes(name));
  const missingKey = (index?.columns ?? []).filter((name) => !held(name));
  if (missingKey.length > 0) {
    findings.push({
      level: "error",
      code: "postgres.replica_identity_key",
      message: `The replica identity of ${table.sql} does not hold the key's column${missingKey.length > 1 ? "s" : ""} ${missingKey.join(", ")}: updates and deletes cannot be told apart by it.`,
      fix: identityFix(table, index, table.leaves),
    });
  }
  const missingOld = need.oldColumns.filter(({ column }) => !held(column));
  if (missingOld.length > 0) {
    findings.push({
      level: "error",
      code: "postgres.replica_identity_old",
      message: `Old values are needed, and the log of ${table.sql} does not hold them: ${missingOld.map(({ column, because }) => `${column} (${because})`).join("; ")}. ${FULL_COST}`,
      fix: fullFix(table),
    });
  }
  const kinds = new Set([table, ...table.leaves].map(({ replicaIdentity }) => replicaIdentity.kind));
  if (missingOld.length === 0 && kinds.has("full") && kinds.size > 1) {
    findings.push({
      level: "error",
      code: "postgres.replica_identity_partitions",
      message: `${table.sql} and its partitions differ in replica identity: old rows would be announced whole and come with nulls for what is not logged.`,
      fix: fullFix(table),
    });
  }
  return findings;
}

function identityFix(table: TableInfo, index: UniqueIndex | null, leaves: readonly { readonly sql: string }[]): string {
  if (table.kind === "r" && index?.immediate) {
    return `ALTER TABLE ${table.sql} REPLICA IDENTITY USING INDEX ${quoteIdentifier(index.name)};`;
  }
  const full = leaves.map(({ sql }) => `ALTER TABLE ${sql} REPLICA IDENTITY FULL;`).join(" ");
  return `${full} -- ${FULL_COST}${table.primaryKey ? "" : " A primary key would be cheaper."}`;
}

function fullFix(table: TableInfo): string {
  const all = new Set([table.sql, ...table.leaves.map(({ sql }) => sql)]);
  return [...all].map((sql) => `ALTER TABLE ${sql} REPLICA IDENTITY FULL;`).join(" ");
}

function generatedFindings(described: DescribedModel, { version, publication }: ModelCheckOptions): readonly Finding[] {
  const sent = new Set(described.columns.map(({ name }) => name));
  const missing = described.table.columns.filter(({ name }) => !sent.has(name));
  if (missing.length === 0) return [];
  const virtual = missing.filter(({ generated }) => generated === "v").map(({ name }) => name);
  const stored = missing.filter(({ generated }) => generated === "s").map(({ name }) => name);
  const parts = [
    ...(stored.length > 0
      ? [
          `${stored.join(", ")} (${version >= 180_000 ? "stored: the publication does not publish them" : "stored: published from PostgreSQL 18 on"})`,
        ]
      : []),
    ...(virtual.length > 0 ? [`${virtual.join(", ")} (virtual: never in the log)`] : []),
  ];
  return [
    {
      level: "info",
      code: "postgres.generated_columns",
      message: `Generated columns of ${described.table.sql} are not read: ${parts.join("; ")}.`,
      ...(stored.length > 0 && version >= 180_000
        ? { fix: `ALTER PUBLICATION ${quoteIdentifier(publication)} SET (publish_generated_columns = stored);` }
        : { fix: "Compute them in the mapping (a template), or keep them in ordinary columns." }),
    },
  ];
}
