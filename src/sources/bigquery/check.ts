// What a person should know before a sync reads a model. Changes nothing, and bills nothing but a look at the tables' options.
import { TailraceError } from "../../contracts/errors.ts";
import type { Finding } from "../../contracts/finding.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import type { BigQueryWarehouse, TableReading } from "./bigquery-warehouse.ts";
import { keepHistory } from "./statements.ts";
import { nameOf } from "./tables.ts";

const READ = "bigquery.tables.getData";
/** History of a table that has, or had, row access policies is for those who have this. */
const PAST_POLICIES = "bigquery.rowAccessPolicies.overrideTimeTravelRestrictions";

export async function checkModels(
  warehouse: BigQueryWarehouse,
  needs: readonly ModelNeeds[],
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const findings: Finding[] = [];
  for (const { model, deletes } of needs) {
    try {
      if (model.kind === "query") await (await warehouse.rows(model, signal)).relation(signal);
      else findings.push(...(await checkTable(warehouse, model, deletes, signal)));
    } catch (error) {
      signal.throwIfAborted();
      if (!(error instanceof TailraceError)) throw error;
      findings.push({
        level: "error",
        code: error.code.replace("source.", "bigquery."),
        message: error.message,
        fix: error.hint,
        subject: model.name,
      });
    }
  }
  return findings;
}

async function checkTable(
  warehouse: BigQueryWarehouse,
  model: TableModel,
  deletes: boolean,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const reading = await warehouse.tableReading(model, signal);
  const feed = await warehouse.reading(model, signal);
  await feed.relation(signal);
  const { place, table, history } = reading;
  const findings: Finding[] = [];
  const tell = (level: Finding["level"], code: string, message: string, fix?: string): void => {
    findings.push({ level, code: `bigquery.${code}`, message, fix, subject: model.name });
  };
  const name = nameOf(place);
  if (history === null)
    tell("warning", "no_change_history", `Its rows are compared: ${reading.because.join("; ")}.`, fixOf(reading));
  else {
    const granted = await warehouse.tables.granted(place, [READ, PAST_POLICIES], signal);
    if (!granted.includes(READ))
      tell(
        "error",
        "privilege",
        `The credentials lack ${READ} on ${name}.`,
        "Grant roles/bigquery.dataViewer on its dataset.",
      );
    else if (!granted.includes(PAST_POLICIES))
      tell(
        "info",
        "row_access_policies",
        `If ${name} has, or ever had, row access policies, its history is closed to these credentials, which lack ${PAST_POLICIES}.`,
        `Only then: grant roles/bigquery.admin on the table, or a custom role with ${PAST_POLICIES}.`,
      );
    if (history === "CHANGES" && table.streamingBuffer !== undefined)
      tell(
        "warning",
        "streamed_rows",
        `Rows are streamed into ${name}. While its change history is kept, UPDATE, DELETE and MERGE over rows that were streamed recently fail, for whoever runs them.`,
        "Run such statements over older rows only, or turn `enable_change_history` off again.",
      );
  }
  if (history === "APPENDS" && deletes)
    tell(
      "warning",
      "append_only",
      `Deletes are wanted, and ${name} is named in \`append_only\`: they are not noticed.`,
      keepHistory(place),
    );
  if (history === "CHANGES" && deletes && table.timePartitioning?.expirationMs !== undefined)
    tell(
      "warning",
      "partition_expiry",
      `Partitions of ${name} expire, and their rows with them; its change history does not tell.`,
      "Resync the sync now and then, or give it a `where` by the partition's column.",
    );
  if (table.requirePartitionFilter === true || table.timePartitioning?.requirePartitionFilter === true)
    tell(
      "error",
      "partition_filter",
      `${name} refuses queries without a filter by its partition; its rows cannot be loaded.`,
      "ALTER TABLE … SET OPTIONS (require_partition_filter = FALSE), or use a `sql:` model with such a filter.",
    );
  const most = warehouse.settings.maximum_bytes_billed;
  if (most !== undefined && BigInt(table.numBytes ?? "0") > BigInt(most))
    tell(
      "error",
      "maximum_bytes_billed",
      `${name} has ${table.numBytes} bytes, more than \`maximum_bytes_billed\` (${most}): its first load would be refused.`,
      "Raise it, or sync a `sql:` model of less.",
    );
  return findings;
}

/** Only tables can be given a history. */
function fixOf({ place, table }: TableReading): string | undefined {
  if (table.type !== "TABLE") return undefined;
  return `${keepHistory(place)}; -- from then on, UPDATE, DELETE and MERGE over rows that were streamed recently fail`;
}
