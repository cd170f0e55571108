// SHOW and DESCRIBE: metadata, which take no warehouse.
import type { Account } from "./account.ts";
import { Catalogue, type SchemaObject, type StreamObject, type TableObject } from "./catalogue.ts";
import { missing, syntaxError } from "./errors.ts";
import { staleAfterMs } from "./history.ts";
import { type Answer, type Session, textAnswer } from "./session.ts";
import { visible } from "./store.ts";
import type { Reader } from "./tokens.ts";

/** As a TIMESTAMP_LTZ goes over the wire. */
const time = (ms: number): string => `${Math.floor(ms / 1000)}.${String(ms % 1000).padStart(3, "0")}000000`;

export async function show(account: Account, session: Session, reader: Reader): Promise<Answer> {
  reader.need("SHOW");
  if (reader.take("GRANTS", "ON", "SCHEMA")) return grants(account, session, reader);
  const kind = reader.next();
  if (kind === "SCHEMAS") return schemas(account, session, reader);
  reader.need("IN", "SCHEMA");
  const [database, schema] = reader.name() as [string, string];
  if (!account.catalogue.schemas.has(Catalogue.keyOf([database, schema]))) throw missing("Schema", schema);
  const start = reader.take("STARTS", "WITH") ? reader.text() : "";
  if (!reader.done) throw syntaxError(reader.peek());
  const seen = [...account.catalogue.objects.values()].filter(
    (object) =>
      object.database === database &&
      object.schema === schema &&
      object.name.startsWith(start) &&
      account.catalogue.may(session.role, [database, schema, object.name], "SELECT"),
  );
  switch (kind) {
    case "TABLES":
      return tables(
        account,
        seen.filter((object): object is TableObject => object.kind === "table" || object.kind === "dynamic"),
      );
    case "VIEWS":
      return views(seen);
    case "STREAMS":
      return streams(
        account,
        seen.filter((object): object is StreamObject => object.kind === "stream"),
      );
    default:
      throw syntaxError(kind);
  }
}

async function tables(account: Account, found: readonly TableObject[]): Promise<Answer> {
  const rows: string[][] = [];
  for (const each of found) {
    const count = await account.store.count(
      `SELECT count(*) FROM ${each.storage} WHERE ${visible(account.store.sequence, null)}`,
    );
    rows.push([
      time(each.createdMs),
      each.name,
      each.database,
      each.schema,
      "TABLE",
      String(count),
      String(count * 100),
      each.owner,
      String(each.retentionDays),
      each.trackedFrom === null ? "OFF" : "ON",
      each.kind === "dynamic" ? "Y" : "N",
    ]);
  }
  return textAnswer(
    [
      "created_on",
      "name",
      "database_name",
      "schema_name",
      "kind",
      "rows",
      "bytes",
      "owner",
      "retention_time",
      "change_tracking",
      "is_dynamic",
    ],
    rows,
  );
}

function views(found: readonly SchemaObject[]): Answer {
  const rows = found.flatMap((each) =>
    each.kind === "view"
      ? [
          [
            time(each.createdMs),
            each.name,
            each.database,
            each.schema,
            each.owner,
            each.tracked ? "ON" : "OFF",
            each.sql,
          ],
        ]
      : [],
  );
  return textAnswer(["created_on", "name", "database_name", "schema_name", "owner", "change_tracking", "text"], rows);
}

function streams(account: Account, found: readonly StreamObject[]): Answer {
  const rows = found.map((each) => {
    const gone = [each.source, ...each.bases].some(({ dropped }) => dropped);
    const stale = gone || each.stale || account.nowMs() > staleAfterMs(each);
    return [
      time(each.createdMs),
      each.name,
      each.database,
      each.schema,
      each.owner,
      each.comment,
      `${each.source.database}.${each.source.schema}.${each.source.name}`,
      each.source.kind === "view" ? "View" : "Table",
      each.bases.map((base) => `${base.database}.${base.schema}.${base.name}`).join(", "),
      "DELTA",
      String(stale),
      "DEFAULT",
      time(staleAfterMs(each)),
      gone ? "Base table dropped or replaced" : "N/A",
    ];
  });
  return textAnswer(
    [
      "created_on",
      "name",
      "database_name",
      "schema_name",
      "owner",
      "comment",
      "table_name",
      "source_type",
      "base_tables",
      "type",
      "stale",
      "mode",
      "stale_after",
      "invalid_reason",
    ],
    rows,
  );
}

function schemas(account: Account, session: Session, reader: Reader): Answer {
  reader.need("IN", "DATABASE");
  const [database] = reader.name() as [string];
  const start = reader.take("STARTS", "WITH") ? reader.text() : "";
  const rows = [...account.catalogue.schemas.values()]
    .filter((each) => each.database === database && each.name.startsWith(start))
    .filter((each) => account.catalogue.may(session.role, [database, each.name], "USAGE"))
    .map((each) => [time(each.createdMs), each.name, each.database, each.owner]);
  return textAnswer(["created_on", "name", "database_name", "owner"], rows);
}

function grants(account: Account, session: Session, reader: Reader): Answer {
  const parts = reader.name();
  const schema = account.catalogue.schemas.get(Catalogue.keyOf(parts));
  if (schema === undefined || !account.catalogue.may(session.role, parts, "USAGE"))
    throw missing("Schema", parts.join("."));
  const rows = [{ privilege: "OWNERSHIP", role: schema.owner }, ...account.catalogue.granted(parts)].map(
    ({ privilege, role }) => [time(schema.createdMs), privilege, "SCHEMA", parts.join("."), "ROLE", role],
  );
  return textAnswer(["created_on", "privilege", "granted_on", "name", "granted_to", "grantee_name"], rows);
}

/** https://docs.snowflake.com/en/sql-reference/sql/desc-table. */
export function describe(account: Account, session: Session, reader: Reader): Promise<Answer> {
  reader.next();
  if (!reader.take("TABLE")) reader.need("VIEW");
  const object = account.resolve(session, reader.name());
  if (object.kind === "stream") throw syntaxError(object.name);
  const key = object.kind === "view" ? [] : object.primaryKey;
  const rows = object.columns.map(({ name, type, nullable }) => [
    name,
    type,
    "COLUMN",
    nullable ? "Y" : "N",
    null,
    key.includes(name) ? "Y" : "N",
  ]);
  return Promise.resolve(textAnswer(["name", "type", "kind", "null?", "default", "primary key"], rows));
}
