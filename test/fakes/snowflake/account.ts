// A Snowflake account that executes the statements that Tailrace emits, and what tests need to make tables and change rows. Anything else is
// what Snowflake says of what it does not know: a syntax error.
import { asFault, snowflakeType, wireText } from "./answers.ts";
import {
  Catalogue,
  type ColumnDefinition,
  type SchemaObject,
  type StreamObject,
  type TableObject,
  type ViewObject,
} from "./catalogue.ts";
import { alter, create, drop, grant } from "./definitions.ts";
import { missing, SnowflakeFault, syntaxError } from "./errors.ts";
import { callFunction } from "./functions.ts";
import { CHANGE_COLUMNS, needFresh } from "./history.ts";
import { changeRows } from "./manipulation.ts";
import { type QueryScope, querySql, viewQuery } from "./query.ts";
import { runBlock } from "./scripting.ts";
import { type Answer, done, Session, STATEMENT_TYPES, type Transaction } from "./session.ts";
import { describe, show } from "./show.ts";
import { Store } from "./store.ts";
import { Reader, type Token, tokensOf } from "./tokens.ts";

/** Somebody else holds a lock. */
class Busy extends Error {}

export interface Executed {
  readonly sql: string;
  readonly user: string;
  readonly session: number;
  /** Whether it takes a warehouse; what does not is answered by the cloud services. */
  readonly computes: boolean;
}

export interface StatementOptions {
  readonly binds?: readonly (string | null)[];
  readonly describeOnly?: boolean;
}

export class Account {
  readonly catalogue = new Catalogue();
  readonly store: Store;
  readonly statements: Executed[] = [];
  readonly warehouse = { running: false, resumes: 0 };
  /** STREAM_HAS_DATA may say so without any; see the usage notes of SYSTEM$STREAM_HAS_DATA. */
  falsePositives = 0;
  #shiftMs = 0;
  #lastMs = 0;
  frozenMs: number | null = null;
  readonly #locks = new Map<string, Transaction>();
  #turn: Promise<unknown> = Promise.resolve();
  #released: (() => void)[] = [];
  readonly admin = new Session(0, "ADMIN", "ACCOUNTADMIN", { warehouse: "ADMIN_WH", database: null, schema: null });

  private constructor(store: (clock: () => number) => Promise<Store>) {
    this.#open = store;
    this.store = undefined as unknown as Store;
  }
  readonly #open: (clock: () => number) => Promise<Store>;

  static async open(): Promise<Account> {
    const account = new Account((clock) => Store.open(clock));
    (account as { store: Store }).store = await account.#open(() => account.nowMs());
    return account;
  }

  /** Never goes back. Two commits may have the same. */
  nowMs(): number {
    this.#lastMs = Math.max(this.#lastMs, this.frozenMs ?? Date.now() + this.#shiftMs);
    return this.#lastMs;
  }

  advance(ms: number): void {
    this.#shiftMs += ms;
  }

  suspendWarehouse(): void {
    this.warehouse.running = false;
  }

  /** As an administrator, with a warehouse of its own. */
  sql(text: string): Promise<Answer> {
    return this.execute(this.admin, text);
  }

  async execute(session: Session, sql: string, options: StatementOptions = {}): Promise<Answer> {
    const computes = options.describeOnly !== true && this.#computes(tokensOf(sql));
    this.statements.push({ sql, user: session.user, session: session.id, computes });
    if (computes && session !== this.admin) {
      if (session.warehouse === null)
        throw new SnowflakeFault("000606", "57P03", "No active warehouse selected in the current session.");
      if (!this.warehouse.running) {
        this.warehouse.running = true;
        this.warehouse.resumes += 1;
      }
    }
    const tokens = tokensOf(sql);
    if (tokens[0]?.text !== "EXECUTE") return this.step(session, tokens, options);
    const reader = new Reader(tokens);
    reader.need("EXECUTE", "IMMEDIATE");
    return runBlock(this, session, tokensOf(reader.text()));
  }

  step(session: Session, tokens: readonly Token[], options: StatementOptions = {}): Promise<Answer> {
    return this.#inTurn(() => this.#run(session, tokens, options));
  }

  /** One statement at a time; one that finds a lock waits until some lock is released. */
  async #inTurn<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      const turn = this.#turn.then(work, work);
      this.#turn = turn.catch(() => {});
      try {
        return await turn;
      } catch (error) {
        if (!(error instanceof Busy)) throw error;
        await new Promise<void>((resolve) => this.#released.push(resolve));
      }
    }
  }

  async #run(session: Session, tokens: readonly Token[], options: StatementOptions): Promise<Answer> {
    const reader = new Reader(tokens[tokens.length - 1]?.text === ";" ? tokens.slice(0, -1) : tokens);
    const word = reader.peek();
    switch (word) {
      case "SELECT":
      case "WITH":
        return this.#select(session, reader.rest(), options);
      case "SHOW":
        return show(this, session, reader);
      case "DESCRIBE":
      case "DESC":
        return describe(this, session, reader);
      case "EXPLAIN":
        return this.#explain(session, reader);
      case "INSERT":
      case "UPDATE":
      case "DELETE":
        return this.#change(session, reader, options.binds ?? []);
      case "BEGIN":
      case "START":
        await this.begin(session);
        return done();
      case "COMMIT":
        await this.commit(session);
        return done();
      case "ROLLBACK":
        await this.rollback(session);
        return done();
      case "ALTER":
        if (reader.peek(1) === "SESSION") return done();
        break;
      case "USE":
        reader.need("USE", "ROLE");
        [session.role] = reader.name() as [string];
        return done();
      default:
    }
    const change = { CREATE: create, DROP: drop, ALTER: alter, GRANT: grant, REVOKE: grant }[word];
    if (change === undefined) throw syntaxError(word);
    // https://docs.snowflake.com/en/sql-reference/transactions: a DDL statement commits what is open, and is a transaction of its own.
    await this.commit(session);
    return change(this, session, reader);
  }

  #computes(tokens: readonly Token[]): boolean {
    const [first, second] = tokens.map(({ text }) => text);
    if (first === "INSERT" || first === "UPDATE" || first === "DELETE" || first === "EXECUTE") return true;
    if (first === "ALTER" && second === "DYNAMIC") return tokens.at(-1)?.text === "REFRESH";
    return (
      (first === "SELECT" || first === "WITH") && tokens.some(({ kind, text }) => kind === "word" && text === "FROM")
    );
  }

  async begin(session: Session): Promise<void> {
    // A BEGIN in a transaction does nothing.
    session.transaction ??= this.#transaction();
    await Promise.resolve();
  }

  #transaction(): Transaction {
    const startedAt = this.store.sequence;
    return { pending: this.store.begin(), startedAt, storages: new Set(), consumed: new Set(), locks: new Set() };
  }

  async commit(session: Session): Promise<void> {
    const { transaction } = session;
    session.transaction = null;
    if (transaction !== null) await this.#commit(transaction);
  }

  async #commit(transaction: Transaction): Promise<void> {
    if (transaction.storages.size > 0 || transaction.consumed.size > 0) {
      const sequence = await this.store.commit(transaction.pending, transaction.storages);
      for (const object of this.catalogue.objects.values())
        if ("storage" in object && transaction.storages.has(object.storage)) object.changedAt = sequence;
      // https://docs.snowflake.com/en/user-guide/streams-intro#table-versioning: the offset becomes the beginning of the transaction.
      for (const stream of transaction.consumed) {
        stream.offset = Math.max(stream.offset, transaction.startedAt);
        stream.consumedMs = this.nowMs();
      }
    }
    this.#release(transaction);
  }

  async rollback(session: Session): Promise<void> {
    const { transaction } = session;
    session.transaction = null;
    if (transaction === null) return;
    await this.store.rollback(transaction.pending, transaction.storages);
    this.#release(transaction);
  }

  /** A session that ends in the midst of a transaction. */
  abandon(session: Session): Promise<void> {
    return this.#inTurn(() => this.rollback(session));
  }

  #release(transaction: Transaction): void {
    for (const lock of transaction.locks) this.#locks.delete(lock);
    for (const waiting of this.#released.splice(0)) waiting();
  }

  /**
   * https://docs.snowflake.com/en/sql-reference/transactions#resource-locking: UPDATE and DELETE hold a table until the transaction ends, INSERT does
   * not; a transaction that reads a stream holds the stream.
   */
  lock(transaction: Transaction, what: string): void {
    const holder = this.#locks.get(what);
    if (holder !== undefined && holder !== transaction) throw new Busy();
    this.#locks.set(what, transaction);
    transaction.locks.add(what);
  }

  async #change(session: Session, reader: Reader, binds: readonly (string | null)[]): Promise<Answer> {
    if (session.transaction !== null) return changeRows(this, session, session.transaction, reader, binds);
    // https://docs.snowflake.com/en/sql-reference/transactions#autocommit
    const transaction = this.#transaction();
    try {
      const answer = await changeRows(this, session, transaction, reader, binds);
      await this.#commit(transaction);
      return answer;
    } catch (error) {
      await this.store.rollback(transaction.pending, transaction.storages);
      this.#release(transaction);
      throw error;
    }
  }

  async #select(
    session: Session,
    tokens: readonly Token[],
    { binds = [], describeOnly }: StatementOptions,
  ): Promise<Answer> {
    const scope = this.scope(session, session.transaction);
    const sql = await querySql(tokens, scope);
    if (session.transaction !== null)
      for (const stream of scope.streams) this.lock(session.transaction, `stream ${stream.name}`);
    const known = describeOnly === true ? this.#wholeOf(session, tokens) : null;
    if (known !== null) return { columns: known, rows: [], statementType: STATEMENT_TYPES.select };
    return this.query(describeOnly === true ? `SELECT * FROM (${sql}) LIMIT 0` : sql, binds);
  }

  async query(sql: string, binds: readonly (string | null)[]): Promise<Answer> {
    try {
      const { names, types, rows } = await this.store.rows(sql, binds);
      const columns = names.map((name, place) => ({ name, type: snowflakeType(types[place]!), nullable: true }));
      return {
        columns,
        rows: rows.map((row) => row.map((value) => wireText(value))),
        statementType: STATEMENT_TYPES.select,
      };
    } catch (error) {
      throw asFault(error);
    }
  }

  /** Of `SELECT * FROM name` the types are those of the table, also where DuckDB keeps texts. */
  #wholeOf(session: Session, tokens: readonly Token[]): readonly ColumnDefinition[] | null {
    if (tokens[1]?.text !== "*" || tokens[2]?.text !== "FROM" || tokens[3]?.text === "(") return null;
    const reader = new Reader(tokens, 3);
    const object = this.resolve(session, reader.name());
    if (!reader.done) return null;
    if (object.kind !== "stream") return object.columns;
    const added = CHANGE_COLUMNS.map((name) => ({
      name,
      type: name === "METADATA$ISUPDATE" ? "BOOLEAN" : "VARCHAR(16777216)",
      nullable: false,
    }));
    return [...object.source.columns, ...added];
  }

  async #explain(session: Session, reader: Reader): Promise<Answer> {
    reader.need("EXPLAIN", "USING", "JSON");
    const tokens = reader.rest();
    const scope = this.scope(session, session.transaction);
    const tables = new Set<string>();
    const sql = await querySql(tokens, {
      ...scope,
      resolve: (parts) => {
        const object = scope.resolve(parts);
        for (const table of object.kind === "view" ? scope.tablesOf(object) : object.kind === "stream" ? [] : [object])
          tables.add(`${table.database}.${table.schema}.${table.name}`);
        return object;
      },
    });
    await this.query(`EXPLAIN ${sql}`, []);
    const operations = [...tables].map((table, id) => ({ id, operation: "TableScan", objects: [table] }));
    const plan = JSON.stringify({ GlobalStats: {}, Operations: [[{ id: -1, operation: "Result" }, ...operations]] });
    return {
      columns: [{ name: "EXPLAIN", type: "VARCHAR(16777216)", nullable: true }],
      rows: [[plan]],
      statementType: STATEMENT_TYPES.select,
    };
  }

  /** `from`: where names without a schema or a database are. */
  place(
    from: { readonly database: string | null; readonly schema: string | null },
    parts: readonly string[],
  ): [string, string, string] {
    const [name, schema = from.schema, database = from.database] = [...parts].reverse();
    if (name === undefined || schema === null || database === null) throw missing("Object", parts.join("."));
    return [database, schema, name];
  }

  resolve(session: Session, parts: readonly string[]): SchemaObject {
    const place = this.place(session, parts);
    const object = this.catalogue.find(place);
    if (object === null || !this.#mayUse(session, object)) throw missing("Object", place.join("."));
    return object;
  }

  #mayUse({ role }: Session, { database, schema, name }: SchemaObject): boolean {
    return this.catalogue.may(role, [database, schema, name], "SELECT");
  }

  tablesOf(session: Session, view: ViewObject): TableObject[] {
    const tables: TableObject[] = [];
    const tokens = tokensOf(view.sql);
    for (const [at, { kind, text }] of tokens.entries()) {
      if (kind !== "word" || (text !== "FROM" && text !== "JOIN")) continue;
      const parts = new Reader(tokens, at + 1).name();
      const object = this.catalogue.find(this.place(view, parts));
      if (object === null) throw missing("Object", parts.join("."));
      if (object.kind === "view") tables.push(...this.tablesOf(session, object));
      else if (object.kind !== "stream") tables.push(object);
    }
    return tables;
  }

  scope(session: Session, transaction: Transaction | null): QueryScope {
    const { store } = this;
    const scope: QueryScope = {
      store,
      nowMs: () => this.nowMs(),
      sequence: store.sequence,
      pending: transaction?.pending ?? null,
      streamsUpTo: transaction?.startedAt ?? store.sequence,
      rows: false,
      defined: new Set(),
      streams: new Set(),
      resolve: (parts) => this.resolve(session, parts),
      mayRead: (object) => {
        if (!this.#mayUse(session, object)) throw missing("Object", object.name);
      },
      tablesOf: (view) => this.tablesOf(session, view),
      call: (name, args) => callFunction(this, session, name, args),
      viewSql: (view, at, rows) =>
        viewQuery(view, {
          ...scope,
          sequence: at,
          rows,
          resolve: (parts) => this.catalogue.need(this.place(view, parts)),
          mayRead: () => {},
        }),
    };
    return scope;
  }

  /**
   * https://docs.snowflake.com/en/sql-reference/functions/system_stream_has_data: from the versions of the table alone; may say so without data,
   * never the other way round. While it says no, an empty stream does not become stale.
   */
  async hasData(stream: StreamObject): Promise<boolean> {
    needFresh(stream, this.nowMs());
    if (this.falsePositives > 0) {
      this.falsePositives -= 1;
      return true;
    }
    const has = stream.bases.some(({ changedAt }) => changedAt > stream.offset);
    if (!has) stream.consumedMs = this.nowMs();
    return Promise.resolve(has);
  }
}
