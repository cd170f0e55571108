// What is in the account: schemas, tables, views, dynamic tables, streams, and who may do what.
import { missing } from "./errors.ts";

export interface ColumnDefinition {
  readonly name: string;
  /** As DESCRIBE prints it: `NUMBER(38,0)`. */
  readonly type: string;
  readonly nullable: boolean;
}

interface Base {
  readonly database: string;
  readonly schema: string;
  name: string;
  readonly createdMs: number;
  readonly createdAt: number;
  owner: string;
}

export interface TableObject extends Base {
  readonly kind: "table" | "dynamic";
  storage: string;
  columns: ColumnDefinition[];
  primaryKey: readonly string[];
  /** The commit from which on changes are tracked; null: they are not. */
  trackedFrom: number | null;
  retentionDays: number;
  extensionDays: number;
  /** Of a dynamic table. */
  readonly sql: string | null;
  /** When it was last written to. */
  changedAt: number;
  dropped: boolean;
}

export interface ViewObject extends Base {
  readonly kind: "view";
  readonly sql: string;
  readonly columns: readonly ColumnDefinition[];
  tracked: boolean;
  dropped: boolean;
}

export interface StreamObject extends Base {
  readonly kind: "stream";
  readonly source: TableObject | ViewObject;
  readonly bases: readonly TableObject[];
  readonly comment: string;
  offset: number;
  consumedMs: number;
  stale: boolean;
}

export type SchemaObject = TableObject | ViewObject | StreamObject;

export interface Schema {
  readonly database: string;
  readonly name: string;
  readonly createdMs: number;
  readonly owner: string;
}

export class Catalogue {
  readonly schemas = new Map<string, Schema>();
  readonly objects = new Map<string, SchemaObject>();
  /** `OBJECT KEY` → `PRIVILEGE ROLE`. */
  readonly grants = new Map<string, Set<string>>();

  static keyOf(parts: readonly string[]): string {
    return parts.map((part) => `"${part}"`).join(".");
  }

  find(parts: readonly string[]): SchemaObject | null {
    return this.objects.get(Catalogue.keyOf(parts)) ?? null;
  }

  need(parts: readonly string[], kind = "Object"): SchemaObject {
    const found = this.find(parts);
    if (found === null) throw missing(kind, parts.join("."));
    return found;
  }

  put(object: SchemaObject): void {
    this.objects.set(Catalogue.keyOf([object.database, object.schema, object.name]), object);
  }

  drop(object: SchemaObject): void {
    this.objects.delete(Catalogue.keyOf([object.database, object.schema, object.name]));
    if (object.kind !== "stream") object.dropped = true;
  }

  grant(parts: readonly string[], privilege: string, role: string): void {
    const key = Catalogue.keyOf(parts);
    const granted = this.grants.get(key) ?? new Set<string>();
    granted.add(`${privilege} ${role}`);
    this.grants.set(key, granted);
  }

  revoke(parts: readonly string[], privilege: string, role: string): void {
    this.grants.get(Catalogue.keyOf(parts))?.delete(`${privilege} ${role}`);
  }

  granted(parts: readonly string[]): { privilege: string; role: string }[] {
    return [...(this.grants.get(Catalogue.keyOf(parts)) ?? [])].map((entry) => {
      const at = entry.lastIndexOf(" ");
      return { privilege: entry.slice(0, at), role: entry.slice(at + 1) };
    });
  }

  /** ACCOUNTADMIN may do everything, an owner too. */
  may(role: string, parts: readonly string[], privilege: string): boolean {
    if (role === "ACCOUNTADMIN") return true;
    const owner = this.find(parts)?.owner ?? this.schemas.get(Catalogue.keyOf(parts))?.owner;
    return owner === role || this.granted(parts).some((grant) => grant.privilege === privilege && grant.role === role);
  }
}

/** How DuckDB keeps values of a type; what it has not to the last digit is a text. */
export function duckTypeOf(type: string): string {
  const decimal = /^(?:NUMBER|DECIMAL|NUMERIC)\((\d+),(\d+)\)$/.exec(type);
  if (decimal !== null) return `DECIMAL(${decimal[1]},${decimal[2]})`;
  if (type === "FLOAT") return "DOUBLE";
  if (type === "BOOLEAN") return "BOOLEAN";
  if (type === "DATE") return "DATE";
  return "VARCHAR";
}

/** A type as it is declared, as DESCRIBE prints it. */
export function typeOf(declared: string): string {
  const text = declared.replaceAll(/\s+/g, "").toUpperCase();
  const [, name = "", , parameters] = /^([A-Z_]+)(\(([\d,]+)\))?$/.exec(text) ?? [];
  switch (name) {
    case "NUMBER":
    case "DECIMAL":
    case "NUMERIC":
      return `NUMBER(${parameters === undefined ? "38,0" : parameters.includes(",") ? parameters : `${parameters},0`})`;
    case "INT":
    case "INTEGER":
    case "BIGINT":
    case "SMALLINT":
      return "NUMBER(38,0)";
    case "FLOAT":
    case "DOUBLE":
    case "REAL":
      return "FLOAT";
    case "VARCHAR":
    case "STRING":
    case "TEXT":
      return `VARCHAR(${parameters ?? "16777216"})`;
    case "TIMESTAMP":
    case "TIMESTAMP_NTZ":
      return `TIMESTAMP_NTZ(${parameters ?? "9"})`;
    case "TIMESTAMP_LTZ":
    case "TIMESTAMP_TZ":
    case "TIME":
      return `${name}(${parameters ?? "9"})`;
    case "BINARY":
      return `BINARY(${parameters ?? "8388608"})`;
    default:
      return name;
  }
}
