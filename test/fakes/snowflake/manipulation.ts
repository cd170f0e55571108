// INSERT, UPDATE, DELETE.
import type { Account } from "./account.ts";
import { asFault } from "./answers.ts";
import type { TableObject } from "./catalogue.ts";
import { insufficient, syntaxError } from "./errors.ts";
import { querySql } from "./query.ts";
import { type Answer, type Session, STATEMENT_TYPES, type Transaction } from "./session.ts";
import { FOREVER, quoted, visible } from "./store.ts";
import { listOf, Reader, type Token } from "./tokens.ts";

export async function changeRows(
  account: Account,
  session: Session,
  transaction: Transaction,
  reader: Reader,
  binds: readonly (string | null)[],
): Promise<Answer> {
  const verb = reader.next() as "INSERT" | "UPDATE" | "DELETE";
  if (verb === "INSERT") reader.need("INTO");
  if (verb === "DELETE") reader.need("FROM");
  const table = account.catalogue.need(account.place(session, reader.name()), "Table");
  if (table.kind !== "table") throw syntaxError(table.name);
  if (!account.catalogue.may(session.role, [table.database, table.schema, table.name], verb))
    throw insufficient("table", table.name);
  if (verb !== "INSERT") account.lock(transaction, `table ${table.storage}`);
  try {
    transaction.storages.add(table.storage);
    const write = { INSERT: insert, UPDATE: update, DELETE: remove }[verb];
    session.rowCount = await write({ account, session, transaction, table, reader, binds });
  } catch (error) {
    throw asFault(error);
  }
  const column = {
    INSERT: "number of rows inserted",
    UPDATE: "number of rows updated",
    DELETE: "number of rows deleted",
  }[verb];
  return {
    columns: [{ name: column, type: "NUMBER(38,0)", nullable: false }],
    rows: [[String(session.rowCount)]],
    statementType: STATEMENT_TYPES[verb.toLowerCase() as "insert" | "update" | "delete"],
  };
}

interface Write {
  readonly account: Account;
  readonly session: Session;
  readonly transaction: Transaction;
  readonly table: TableObject;
  readonly reader: Reader;
  readonly binds: readonly (string | null)[];
}

async function insert({ account, session, transaction, table, reader, binds }: Write): Promise<number> {
  const listed =
    reader.peek() === "(" ? listOf(reader.parenthesised()).map((part) => new Reader(part).name()[0]!) : null;
  const names = listed ?? table.columns.map(({ name }) => name);
  const scope = account.scope(session, transaction);
  const rows = await querySql(reader.rest(), scope);
  // A DML statement that reads a stream consumes it, all of it, whatever its WHERE leaves out.
  for (const stream of scope.streams) {
    account.lock(transaction, `stream ${stream.name}`);
    transaction.consumed.add(stream);
  }
  const columns = names.map(quoted).join(", ");
  const before = await countOf(account, table, transaction);
  await account.store.run(
    `INSERT INTO ${table.storage} (${columns}, __row, __from, __to) SELECT *, new_row(), ${transaction.pending}, ${FOREVER} FROM (${rows}) AS rows`,
    binds,
  );
  return (await countOf(account, table, transaction)) - before;
}

function countOf(account: Account, table: TableObject, { pending }: Transaction): Promise<number> {
  return account.store.count(`SELECT count(*) FROM ${table.storage} WHERE __from = ${pending}`);
}

async function update({ account, session, transaction, table, reader, binds }: Write): Promise<number> {
  reader.need("SET");
  const scope = account.scope(session, transaction);
  const rest = reader.rest();
  const where = rest.findIndex(({ kind, text }) => kind === "word" && text === "WHERE");
  const sets = new Map<string, string>();
  for (const each of listOf(where < 0 ? rest : rest.slice(0, where))) {
    const set = new Reader(each);
    const [name] = set.name() as [string];
    set.need("=");
    sets.set(name, await querySql(set.rest(), scope));
  }
  const columns = table.columns.map(({ name }) => quoted(name));
  const values = table.columns.map(({ name }) => sets.get(name) ?? quoted(name));
  const matches = await condition(where < 0 ? [] : rest.slice(where + 1), scope);
  const seen = visible(account.store.sequence, transaction.pending);
  await account.store.run(
    `CREATE OR REPLACE TEMP TABLE written AS SELECT ${values.map((value, place) => `${value} AS c${place}`).join(", ")}, __row FROM ${table.storage} WHERE ${seen} AND ${matches}`,
    binds,
  );
  await replace(account, table, transaction);
  const list = columns.map((_column, place) => `c${place}`).join(", ");
  await account.store.run(
    `INSERT INTO ${table.storage} (${columns.join(", ")}, __row, __from, __to) SELECT ${list}, __row, ${transaction.pending}, ${FOREVER} FROM written`,
  );
  return account.store.count("SELECT count(*) FROM written");
}

async function remove({ account, session, transaction, table, reader, binds }: Write): Promise<number> {
  const scope = account.scope(session, transaction);
  const matches = await condition(reader.take("WHERE") ? reader.rest() : [], scope);
  const seen = visible(account.store.sequence, transaction.pending);
  await account.store.run(
    `CREATE OR REPLACE TEMP TABLE written AS SELECT __row FROM ${table.storage} WHERE ${seen} AND ${matches}`,
    binds,
  );
  await replace(account, table, transaction);
  return account.store.count("SELECT count(*) FROM written");
}

/** Ends the versions of the rows in `written` that this transaction sees. */
async function replace(account: Account, table: TableObject, { pending }: Transaction): Promise<void> {
  const inWritten = "__row IN (SELECT __row FROM written)";
  // What it had written itself was never there.
  await account.store.run(`DELETE FROM ${table.storage} WHERE __from = ${pending} AND ${inWritten}`);
  await account.store.run(
    `UPDATE ${table.storage} SET __to = ${pending} WHERE ${visible(account.store.sequence, pending)} AND ${inWritten}`,
  );
}

async function condition(tokens: readonly Token[], scope: Parameters<typeof querySql>[1]): Promise<string> {
  return tokens.length === 0 ? "TRUE" : `(${await querySql(tokens, scope)})`;
}
