// CREATE, ALTER, DROP, GRANT.
import type { Account } from "./account.ts";
import {
  Catalogue,
  type ColumnDefinition,
  duckTypeOf,
  type SchemaObject,
  type TableObject,
  typeOf,
} from "./catalogue.ts";
import { insufficient, noChangeTracking, SnowflakeFault, syntaxError, unsupported } from "./errors.ts";
import { needFresh, withRowColumn } from "./history.ts";
import { querySql } from "./query.ts";
import { type Answer, done, type Session } from "./session.ts";
import { FOREVER, quoted, visible } from "./store.ts";
import { listOf, Reader, sqlOf, type Token, tokensOf } from "./tokens.ts";

export async function create(account: Account, session: Session, reader: Reader): Promise<Answer> {
  reader.need("CREATE");
  const replace = reader.take("OR", "REPLACE");
  if (reader.take("SCHEMA") || reader.take("DATABASE")) return createSchema(account, session, reader);
  const transient = reader.take("TRANSIENT");
  const kind = reader.take("DYNAMIC", "TABLE") ? "DYNAMIC" : reader.next();
  const ifMissing = reader.take("IF", "NOT", "EXISTS");
  const place = account.place(session, reader.name());
  const [database, schema, name] = place;
  const schemaObject = account.catalogue.schemas.get(Catalogue.keyOf([database, schema]));
  if (
    schemaObject === undefined ||
    !account.catalogue.may(session.role, [database, schema], `CREATE ${kind === "DYNAMIC" ? "DYNAMIC TABLE" : kind}`)
  )
    throw insufficient("schema", schema);
  const old = account.catalogue.find(place);
  if (old !== null && ifMissing) return done(`${name} already exists, statement succeeded.`);
  if (old !== null && !replace)
    throw new SnowflakeFault("002002", "42710", `SQL compilation error:\nObject '${name}' already exists.`);
  const made = await account.store.commit(null, []);
  const base = { database, schema, name, createdMs: account.nowMs(), createdAt: made, owner: session.role };
  const object = await definition(account, session, reader, kind, { ...base, transient });
  if (old !== null) account.catalogue.drop(old);
  account.catalogue.put(object);
  return done(`${kind} ${name} successfully created.`);
}

type Base = Pick<TableObject, "database" | "schema" | "name" | "createdMs" | "createdAt" | "owner"> & {
  readonly transient: boolean;
};

async function definition(
  account: Account,
  session: Session,
  reader: Reader,
  kind: string,
  base: Base,
): Promise<SchemaObject> {
  const { transient: _, ...common } = base;
  switch (kind) {
    case "TABLE": {
      const { columns, primaryKey } = columnsOf(reader.parenthesised());
      const table = await newTable(account, common, columns, "table", null);
      table.primaryKey = primaryKey;
      options(table, reader, table.createdAt);
      return table;
    }
    case "VIEW": {
      reader.need("AS");
      const sql = sqlOf(reader.rest());
      const { columns } = await account.query(
        `SELECT * FROM (${await querySql(tokensOf(sql), account.scope(session, null))}) LIMIT 0`,
        [],
      );
      return { ...common, kind: "view", sql, columns, tracked: false, dropped: false };
    }
    case "DYNAMIC": {
      while (!reader.take("AS")) reader.next();
      const sql = sqlOf(reader.rest());
      const query = await querySql(tokensOf(sql), account.scope(session, null));
      const { columns } = await account.query(`SELECT * FROM (${query}) LIMIT 0`, []);
      const table = await newTable(account, common, columns, "dynamic", sql);
      // https://docs.snowflake.com/en/user-guide/dynamic-tables-about: incremental ones are tracked.
      table.trackedFrom = table.createdAt;
      await refresh(account, session, table);
      return table;
    }
    case "STREAM":
      return newStream(account, session, reader, common);
    default:
      throw syntaxError(kind);
  }
}

async function newTable(
  account: Account,
  base: Omit<Base, "transient">,
  columns: readonly ColumnDefinition[],
  kind: "table" | "dynamic",
  sql: string | null,
): Promise<TableObject> {
  const storage = await account.store.makeTable(
    columns.map(({ name, type }) => ({ name, duckType: duckTypeOf(type) })),
  );
  return {
    ...base,
    kind,
    storage,
    columns: [...columns],
    primaryKey: [],
    trackedFrom: null,
    retentionDays: 1,
    extensionDays: 14,
    sql,
    changedAt: base.createdAt,
    dropped: false,
  };
}

function columnsOf(tokens: readonly Token[]): { columns: ColumnDefinition[]; primaryKey: string[] } {
  const columns: ColumnDefinition[] = [];
  const primaryKey: string[] = [];
  for (const each of listOf(tokens)) {
    const reader = new Reader(each);
    if (reader.take("PRIMARY", "KEY")) {
      for (const part of listOf(reader.parenthesised())) primaryKey.push(...new Reader(part).name());
      continue;
    }
    const [name] = reader.name() as [string];
    let type = reader.next();
    if (reader.peek() === "(") type += `(${sqlOf(reader.parenthesised())})`;
    let nullable = true;
    while (!reader.done) {
      if (reader.take("NOT", "NULL")) nullable = false;
      else if (reader.take("PRIMARY", "KEY")) {
        primaryKey.push(name);
        nullable = false;
      } else throw syntaxError(reader.peek());
    }
    columns.push({ name, type: typeOf(type), nullable });
  }
  return { columns, primaryKey };
}

function options(table: TableObject, reader: Reader, now: number): void {
  while (!reader.done) {
    const option = reader.next();
    reader.need("=");
    const value = reader.next();
    if (option === "CHANGE_TRACKING") table.trackedFrom = value === "TRUE" ? (table.trackedFrom ?? now) : null;
    else if (option === "DATA_RETENTION_TIME_IN_DAYS") table.retentionDays = Number(value);
    else if (option === "MAX_DATA_EXTENSION_TIME_IN_DAYS") table.extensionDays = Number(value);
    else throw syntaxError(option);
  }
}

/**
 * https://docs.snowflake.com/en/sql-reference/sql/create-stream: SELECT on the source; only its owner makes the first stream, where change tracking is
 * not on yet; of a view it must be on before, there and on the tables. AT(STREAM => …): the offset of another one.
 */
async function newStream(
  account: Account,
  session: Session,
  reader: Reader,
  base: Omit<Base, "transient">,
): Promise<SchemaObject> {
  reader.need("ON");
  if (!reader.take("DYNAMIC", "TABLE") && !reader.take("TABLE") && !reader.take("VIEW"))
    throw unsupported(`stream on ${reader.peek()}`);
  const source = account.resolve(session, reader.name());
  if (source.kind === "stream") throw syntaxError(source.name);
  const bases = source.kind === "view" ? account.tablesOf(session, source) : [source];
  if (source.kind === "view") {
    withRowColumn(source.sql);
    if (!source.tracked || bases.some(({ trackedFrom }) => trackedFrom === null)) throw noChangeTracking();
  } else if (source.trackedFrom === null) {
    if (source.owner !== session.role && session.role !== "ACCOUNTADMIN") throw insufficient("table", source.name);
    source.trackedFrom = base.createdAt;
  }
  let offset = base.createdAt;
  if (reader.take("AT")) {
    const inner = new Reader(reader.parenthesised());
    inner.need("STREAM", "=>");
    const other = account.resolve(session, new Reader(tokensOf(inner.text())).name());
    if (other.kind !== "stream") throw syntaxError(other.name);
    needFresh(other, account.nowMs());
    offset = other.offset;
  }
  const comment = reader.take("COMMENT", "=") ? reader.text() : "";
  if (!reader.done) throw syntaxError(reader.peek());
  return { ...base, kind: "stream", source, bases, comment, offset, consumedMs: account.nowMs(), stale: false };
}

function createSchema(account: Account, session: Session, reader: Reader): Answer {
  reader.take("IF", "NOT", "EXISTS");
  const parts = reader.name();
  const [database, name] = parts.length === 1 ? [parts[0]!, "PUBLIC"] : (parts as [string, string]);
  const key = Catalogue.keyOf([database, name]);
  if (parts.length > 1 && !account.catalogue.may(session.role, [database], "CREATE SCHEMA"))
    throw insufficient("database", database);
  if (!account.catalogue.schemas.has(key))
    account.catalogue.schemas.set(key, { database, name, createdMs: account.nowMs(), owner: session.role });
  return done();
}

export function drop(account: Account, session: Session, reader: Reader): Promise<Answer> {
  reader.need("DROP");
  const kind = reader.take("DYNAMIC", "TABLE") ? "dynamic" : reader.next().toLowerCase();
  const ifThere = reader.take("IF", "EXISTS");
  const place = account.place(session, reader.name());
  const object = account.catalogue.find(place);
  if (object === null && ifThere) return Promise.resolve(done());
  const found = account.catalogue.need(place, kind);
  if (found.owner !== session.role && session.role !== "ACCOUNTADMIN") throw insufficient(kind, found.name);
  account.catalogue.drop(found);
  return Promise.resolve(done(`${found.name} successfully dropped.`));
}

export async function alter(account: Account, session: Session, reader: Reader): Promise<Answer> {
  reader.need("ALTER");
  const isDynamic = reader.take("DYNAMIC", "TABLE");
  if (!isDynamic && !reader.take("TABLE") && !reader.take("VIEW")) throw syntaxError(reader.peek());
  const object = account.catalogue.need(account.place(session, reader.name()), "Table");
  if (object.owner !== session.role && session.role !== "ACCOUNTADMIN") throw insufficient("table", object.name);
  if (object.kind === "stream") throw syntaxError(object.name);
  if (reader.take("RENAME", "TO")) {
    const [name] = reader.name().slice(-1) as [string];
    // https://docs.snowflake.com/en/user-guide/streams-manage: a renamed table keeps its streams.
    account.catalogue.objects.delete(Catalogue.keyOf([object.database, object.schema, object.name]));
    object.name = name;
    account.catalogue.put(object);
    return done();
  }
  if (object.kind === "view") {
    reader.need("SET", "CHANGE_TRACKING", "=", "TRUE");
    object.tracked = true;
    for (const table of account.tablesOf(session, object)) table.trackedFrom ??= await account.store.commit(null, []);
    return done();
  }
  if (isDynamic) {
    reader.need("REFRESH");
    await refresh(account, session, object);
    return done();
  }
  if (reader.take("SET")) options(object, reader, await account.store.commit(null, []));
  else if (reader.take("ADD", "COLUMN")) {
    const { columns } = columnsOf(reader.rest());
    for (const column of columns) {
      object.columns.push(column);
      await account.store.run(
        `ALTER TABLE ${object.storage} ADD COLUMN ${quoted(column.name)} ${duckTypeOf(column.type)}`,
      );
    }
  } else if (reader.take("DROP", "COLUMN")) {
    const [name] = reader.name() as [string];
    object.columns = object.columns.filter((column) => column.name !== name);
  } else throw syntaxError(reader.peek());
  return done();
}

/** Rows of a dynamic table that are as they were keep their row; all others come and go: nothing says that one becomes the other. */
async function refresh(account: Account, session: Session, table: TableObject): Promise<void> {
  const { store } = account;
  const sql = await querySql(tokensOf(table.sql!), account.scope(session, null));
  const columns = table.columns.map(({ name }) => quoted(name)).join(", ");
  const pending = store.begin();
  const now = visible(store.sequence, null);
  await store.run(`CREATE OR REPLACE TEMP TABLE refreshed AS SELECT ${columns} FROM (${sql})`);
  await store.run(
    `UPDATE ${table.storage} SET __to = ${pending} WHERE ${now} AND __row NOT IN (SELECT t.__row FROM ${table.storage} t JOIN refreshed r ON ${table.columns.map(({ name }) => `t.${quoted(name)} IS NOT DISTINCT FROM r.${quoted(name)}`).join(" AND ")} WHERE ${visible(store.sequence, null, "t.")})`,
  );
  await store.run(
    `INSERT INTO ${table.storage} (${columns}, __row, __from, __to) SELECT ${columns}, new_row(), ${pending}, ${FOREVER} FROM (SELECT ${columns} FROM refreshed EXCEPT SELECT ${columns} FROM ${table.storage} WHERE ${visible(store.sequence, pending)})`,
  );
  table.changedAt = await store.commit(pending, [table.storage]);
}

/** `GRANT SELECT ON TABLE t TO ROLE r`, `REVOKE … FROM ROLE r`. */
export function grant(account: Account, session: Session, reader: Reader): Promise<Answer> {
  const gives = reader.next() === "GRANT";
  const privileges: string[] = [];
  let privilege = "";
  while (!reader.take("ON")) {
    if (reader.take(",")) {
      privileges.push(privilege);
      privilege = "";
    } else privilege = `${privilege} ${reader.next()}`.trim();
  }
  privileges.push(privilege);
  const kind = reader.next();
  const parts = reader.name();
  const place = kind === "SCHEMA" || kind === "DATABASE" ? parts : account.place(session, parts);
  if (!reader.take("TO", "ROLE")) reader.need("FROM", "ROLE");
  const [role] = reader.name() as [string];
  for (const each of privileges)
    if (gives) account.catalogue.grant(place, each, role);
    else account.catalogue.revoke(place, each, role);
  return Promise.resolve(done());
}
