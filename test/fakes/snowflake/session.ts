// A session: who it is, where it is, and the transaction that it has open.
import type { StreamObject } from "./catalogue.ts";

export interface Transaction {
  readonly pending: number;
  /** The newest commit when it began: where a stream ends for all of its statements. */
  readonly startedAt: number;
  readonly storages: Set<string>;
  /** Offsets move when it commits. */
  readonly consumed: Set<StreamObject>;
  readonly locks: Set<string>;
}

export class Session {
  readonly id: number;
  readonly user: string;
  role: string;
  warehouse: string | null;
  database: string | null;
  schema: string | null;
  transaction: Transaction | null = null;
  /** Rows that the last DML of a block changed. */
  rowCount = 0;

  constructor(
    id: number,
    user: string,
    role: string,
    place: { warehouse: string | null; database: string | null; schema: string | null },
  ) {
    this.id = id;
    this.user = user;
    this.role = role;
    this.warehouse = place.warehouse;
    this.database = place.database;
    this.schema = place.schema;
  }
}

export interface Answer {
  readonly columns: readonly { readonly name: string; readonly type: string; readonly nullable: boolean }[];
  readonly rows: readonly (readonly (string | null)[])[];
  readonly statementType: number;
}

export const STATEMENT_TYPES = { select: 4096, insert: 12544, update: 12800, delete: 13056, other: 16384 } as const;

/** What SHOW tells as times. */
const TIMES = new Set(["created_on", "stale_after"]);

export function textAnswer(names: readonly string[], rows: readonly (readonly (string | null)[])[]): Answer {
  const typeOf = (name: string): string => (TIMES.has(name) ? "TIMESTAMP_LTZ(9)" : "VARCHAR(16777216)");
  const columns = names.map((name) => ({ name, type: typeOf(name), nullable: true }));
  return { columns, rows, statementType: STATEMENT_TYPES.other };
}

export const done = (text = "Statement executed successfully."): Answer => textAnswer(["status"], [[text]]);
