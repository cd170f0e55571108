import * as z from "zod";

/**
 * What is read of a model in dbt's manifest.json, of schema 9 (dbt 1.5) or later; everything else in it is passed over.
 * https://schemas.getdbt.com/dbt/manifest/v12.json
 */
export const dbtNode = z.object({
  unique_id: z.string(),
  resource_type: z.string(),
  name: z.string(),
  package_name: z.string(),
  schema: z.string().nullish(),
  alias: z.string().nullish(),
  relation_name: z.string().nullish(),
  compiled_code: z.string().nullish(),
  description: z.string().nullish(),
  version: z.union([z.string(), z.number()]).nullish(),
  latest_version: z.union([z.string(), z.number()]).nullish(),
  depends_on: z.object({ nodes: z.array(z.string()).nullish() }).nullish(),
  checksum: z.object({ checksum: z.string().nullish() }).nullish(),
  config: z.object({
    materialized: z.string().nullish(),
    unique_key: z.union([z.string(), z.array(z.string())]).nullish(),
    contract: z.object({ enforced: z.boolean().nullish() }).nullish(),
  }),
  constraints: z.array(z.object({ type: z.string(), columns: z.array(z.string()).nullish() })).nullish(),
  columns: z
    .record(
      z.string(),
      z.object({
        name: z.string(),
        description: z.string().nullish(),
        data_type: z.string().nullish(),
        constraints: z.array(z.object({ type: z.string() })).nullish(),
      }),
    )
    .nullish(),
});

export type DbtNode = z.output<typeof dbtNode>;

/** What is read of a test of one column. */
export const dbtColumnTest = z.object({
  attached_node: z.string(),
  column_name: z.string(),
  test_metadata: z.object({ name: z.string() }),
  config: z.object({ where: z.string().nullish() }),
});

export type DbtColumnTest = z.output<typeof dbtColumnTest>;

/** The columns of the primary key that the database enforces; null: dbt has it make none. */
export function enforcedKey(node: DbtNode): readonly string[] | null {
  if (node.config.contract?.enforced !== true) return null;
  const ofModel = node.constraints?.find(({ type, columns }) => type === "primary_key" && (columns ?? []).length > 0);
  if (ofModel?.columns) return ofModel.columns;
  const column = Object.values(node.columns ?? {}).find(({ constraints }) =>
    constraints?.some(({ type }) => type === "primary_key"),
  );
  return column === undefined ? null : [column.name];
}

/** The columns that identify a row, as far as the project says; none: it does not, or says it of several columns. */
export function keysOf(node: DbtNode, tests: readonly DbtColumnTest[]): readonly (readonly string[])[] {
  const enforced = enforcedKey(node);
  if (enforced !== null) return [enforced];
  const { unique_key: declared } = node.config;
  const unique = typeof declared === "string" ? [declared] : (declared ?? []);
  // It may be any expression of SQL.
  if (unique.length > 0 && unique.every((column) => /^[A-Za-z_]\w*$/.test(column))) return [unique];
  const tested = (test: string): ReadonlySet<string> =>
    new Set(
      tests
        .filter(
          ({ attached_node, test_metadata, config }) =>
            attached_node === node.unique_id && test_metadata.name === test && !config.where,
        )
        .map(({ column_name }) => column_name),
    );
  const notNull = tested("not_null");
  return [...tested("unique")].filter((column) => notNull.has(column)).map((column) => [column]);
}
