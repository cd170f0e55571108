// Databricks' errors as ours. Its texts quote values: only the error condition's name, and names in backticks, are passed on.
import { type ErrorCode, TailraceError } from "../../contracts/errors.ts";

/** What the server answered to a statement. */
export class Refusal extends Error {
  /** `DELTA_MISSING_CHANGE_DATA`; null: it gave none. */
  readonly condition: string | null;
  /** Of names that it quotes, the first. */
  readonly named: string | null;
  /** The table's version that it is about. */
  readonly version: string | null;

  constructor(text: string) {
    const condition = /\[([A-Z][A-Z0-9_.]+)\]/.exec(text)?.[1] ?? null;
    super(`Databricks refused: ${condition ?? "no error condition"}`);
    this.condition = condition;
    this.named = /`[^`\n]{1,200}`(?:\.`[^`\n]{1,200}`)*/.exec(text)?.[0] ?? null;
    this.version = /\bversion \[?(\d+)/i.exec(text)?.[1] ?? null;
  }

  is(conditions: ReadonlySet<string>): boolean {
    return this.condition !== null && (conditions.has(this.condition) || conditions.has(this.condition.split(".")[0]!));
  }
}

/** A range of versions over a change of columns that cannot be read at once. */
export const SCHEMA_CHANGE: ReadonlySet<string> = new Set([
  "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_SCHEMA_CHANGE",
  "DELTA_CHANGE_DATA_FEED_INCOMPATIBLE_DATA_SCHEMA",
  "DELTA_CHANGELOG_SCHEMA_CHANGE_IN_RANGE",
]);

/** Something that is no table: a view. */
export const NO_TABLE: ReadonlySet<string> = new Set(["EXPECT_TABLE_NOT_VIEW", "DELTA_ONLY_OPERATION"]);

const GONE = ["TABLE_OR_VIEW_NOT_FOUND", "SCHEMA_NOT_FOUND", "NO_SUCH_CATALOG_EXCEPTION"];
const BAD_SQL = [
  "PARSE_SYNTAX_ERROR",
  "UNRESOLVED_COLUMN",
  "UNRESOLVED_ROUTINE",
  "DATATYPE_MISMATCH",
  "AMBIGUOUS_REFERENCE",
];

const CODES: ReadonlyMap<string, ErrorCode> = new Map<string, ErrorCode>([
  ...[...GONE, ...BAD_SQL, ...NO_TABLE].map((each): [string, ErrorCode] => [each, "source.model"]),
  ...["INSUFFICIENT_PERMISSIONS", "PERMISSION_DENIED", "UC_COMMAND_NOT_SUPPORTED", "INSUFFICIENT_PRIVILEGES"].map(
    (each): [string, ErrorCode] => [each, "source.config"],
  ),
  ...["DELTA_MISSING_CHANGE_DATA", "DELTA_CHANGE_TABLE_FEED_DISABLED"].map((each): [string, ErrorCode] => [
    each,
    "source.gap.feed",
  ]),
  ...[
    "DELTA_CHANGE_DATA_FILE_NOT_FOUND",
    "DELTA_TRUNCATED_TRANSACTION_LOG",
    "DELTA_MISSING_FILES_UNEXPECTED_VERSION",
    "DELTA_UNSUPPORTED_TIME_TRAVEL_BEYOND_DELETED_FILE_RETENTION_DURATION",
    "VERSION_NOT_FOUND",
  ].map((each): [string, ErrorCode] => [each, "source.gap.purged"]),
  ["DELTA_CDC_START_VERSION_AFTER_LATEST", "source.gap.replaced"],
  ...[...SCHEMA_CHANGE].map((each): [string, ErrorCode] => [each, "source.gap.shape"]),
]);

/** `what`: the model. `table`: for the statement that mends it. */
export function asSourceError(error: unknown, what: string, table: string | null = null): TailraceError {
  if (error instanceof TailraceError) return error;
  if (!(error instanceof Refusal)) return TailraceError.from(error, "source.unreachable");
  const { condition } = error;
  const code = CODES.get(condition ?? "") ?? CODES.get(condition?.split(".")[0] ?? "") ?? "source.data";
  const named = error.named === null ? "" : `, ${error.named}`;
  return new TailraceError(code, `${what}: ${meaningOf(code, error, table) ?? `${error.message}${named}`}`);
}

function meaningOf(code: ErrorCode, { condition, version }: Refusal, table: string | null): string | null {
  const at = version === null ? "" : ` of version ${version}`;
  switch (code) {
    case "source.gap.feed":
      return `the changes${at} were not recorded, because its change data feed was off (${condition}). ${enableFeed(table ?? "TABLE")}`;
    case "source.gap.purged":
      return `the changes${at} were deleted by VACUUM, or with old log files (${condition}). Let them be kept for longer than Tailrace may stand still: ALTER TABLE ${table ?? "TABLE"} SET TBLPROPERTIES (delta.deletedFileRetentionDuration = 'interval 14 days', delta.logRetentionDuration = 'interval 30 days')`;
    case "source.gap.shape":
      return `the changes${at} cannot be read with the columns that it has now, because a column was dropped, renamed or given another type (${condition})`;
    case "source.gap.replaced":
      return `its history ends before what was read of it (${condition})`;
    default:
      return null;
  }
}

/** The statement that records changes from now on. */
export function enableFeed(table: string): string {
  return `ALTER TABLE ${table} SET TBLPROPERTIES (delta.enableChangeDataFeed = true)`;
}
