// Errors as Snowflake answers them: a code of six digits, an SQL state, a text.

export class SnowflakeFault extends Error {
  readonly code: string;
  readonly sqlState: string;

  constructor(code: string, sqlState: string, message: string) {
    super(message);
    this.code = code;
    this.sqlState = sqlState;
  }
}

export const syntaxError = (near: string): SnowflakeFault =>
  new SnowflakeFault(
    "001003",
    "42000",
    `SQL compilation error:\nsyntax error line 1 at position 0 unexpected '${near.slice(0, 40)}'.`,
  );

export const missing = (kind: string, name: string): SnowflakeFault =>
  new SnowflakeFault("002003", "42S02", `SQL compilation error:\n${kind} '${name}' does not exist or not authorized.`);

export const insufficient = (kind: string, name: string): SnowflakeFault =>
  new SnowflakeFault(
    "003001",
    "42501",
    `SQL access control error:\nInsufficient privileges to operate on ${kind} '${name}'.`,
  );

export const unsupported = (what: string): SnowflakeFault =>
  new SnowflakeFault("000002", "0A000", `Unsupported feature '${what}'.`);

/** https://docs.snowflake.com/en/user-guide/data-time-travel: history is there for the retention period, and from when the object was made. */
export const noHistory = (name: string): SnowflakeFault =>
  new SnowflakeFault(
    "000707",
    "02000",
    `Time travel data is not available for table ${name}. The requested time is either beyond the allowed time travel period or before the object creation time.`,
  );

/** https://docs.snowflake.com/en/user-guide/dynamic-tables/error-codes, 091930. */
export const noChangeTracking = (): SnowflakeFault =>
  new SnowflakeFault(
    "091930",
    "22000",
    "Change tracking is not enabled or has been missing for the time range requested.",
  );

export const staleStream = (name: string): SnowflakeFault =>
  new SnowflakeFault("091905", "22000", `SQL execution error: Stream ${name} has become stale.`);

export const sourceGone = (table: string, stream: string): SnowflakeFault =>
  new SnowflakeFault(
    "091901",
    "01P01",
    `SQL compilation error: Base table '${table}' dropped, cannot read from stream '${stream}'.`,
  );
