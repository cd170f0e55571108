import pg from "pg";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import type { TailraceError } from "../../contracts/errors.ts";
import type { TableModel } from "../../contracts/model.ts";
import type { ChunkLimit, Cursor, SnapshotChunk } from "../../contracts/source.ts";
import type { Values } from "../../contracts/values.ts";
import { quoteLiteral } from "../../kit/sql.ts";
import { type TestDatabase, testDatabase } from "../../../test/support/postgres.ts";
import { connect } from "./connection.ts";
import { lsnOf, parseLsn } from "./position.ts";
import { LogMark } from "./log-mark.ts";
import { RelationVersions } from "../../kit/relation-versions.ts";
import { SnapshotReader } from "./snapshot.ts";
import { SqlSession } from "./sql-session.ts";
import { tableModel } from "../../../test/support/models.ts";

const SERVERS = [
  { server: "PostgreSQL 18", url: inject("postgresUrl") },
  { server: "PostgreSQL 15", url: inject("postgres15Url") },
];
const SMALL: ChunkLimit = { rows: 3, bytes: 1e8 };

function model(name: string, key: readonly string[] | null = null): TableModel {
  return tableModel(name, { key });
}

describe.each(SERVERS)("$server", ({ url: serverUrl }) => {
  const missing = serverUrl === "";
  let database: TestDatabase;
  let session: SqlSession;
  let reader: SnapshotReader;
  const signal = AbortSignal.timeout(55_000);

  beforeAll(async () => {
    if (missing) return;
    database = await testDatabase(serverUrl);
    session = new SqlSession((inner) => connect({ url: database.url }, { replication: false, signal: inner }));
    reader = new SnapshotReader(
      session,
      { schema: "public", publication: "none" },
      new RelationVersions(),
      new LogMark(session),
    );
  });
  afterAll(async () => {
    if (missing) return;
    await session[Symbol.asyncDispose]();
    await database[Symbol.asyncDispose]();
  });

  async function readChunks(of: TableModel, limit: ChunkLimit): Promise<SnapshotChunk[]> {
    const chunks: SnapshotChunk[] = [];
    let after: Cursor | null = null;
    do {
      const chunk: SnapshotChunk = await reader.chunk(of, after, limit, signal);
      expect(chunk.rows.length).toBeLessThanOrEqual(limit.rows);
      chunks.push(chunk);
      after = chunk.next;
    } while (after !== null);
    return chunks;
  }

  // Each: the key's columns, the rows' keys, and the order if it is not the key's.
  const KEYS: Record<
    string,
    { readonly columns: string; readonly key: string; readonly rows: readonly (readonly string[])[] }
  > = {
    numeric: {
      columns: "a numeric",
      key: "a",
      rows: ["NaN", "-Infinity", "Infinity", "0", "-1.50", "1e30", "0.1", "0.10000000001", "12345678901234567890"].map(
        (n) => [n],
      ),
    },
    float8: {
      columns: "a float8",
      key: "a",
      rows: ["NaN", "-Infinity", "Infinity", "0", "0.1", "0.30000000000000004", "5e-324", "1e308"].map((n) => [n]),
    },
    bigint: {
      columns: "a int8",
      key: "a",
      rows: ["9223372036854775807", "-9223372036854775808", "0", "9007199254740993", "9007199254740992"].map((n) => [
        n,
      ]),
    },
    "ICU text": {
      columns: 'a text COLLATE "en-x-icu"',
      key: "a",
      rows: ["a", "A", "á", "b", "B", "", " ", "Z", "z", "ß", "ss", "10", "9", "\\", "'", "😀", "a-b", "ab"].map(
        (text) => [text],
      ),
    },
    "text that compares without case": {
      columns: "a text COLLATE folded",
      key: "a",
      rows: ["a", "B", "c", "Á", "Z", "10", "9", "e", "F"].map((text) => [text]),
    },
    "case-blind": {
      columns: "a public.citext",
      key: "a",
      rows: ["a", "B", "c", "_", "Z", "^", "10", "e", "F"].map((text) => [text]),
    },
    "citext and int": {
      columns: "a public.citext, b int",
      key: "a, b",
      rows: ["a", "B", "_"].flatMap((text) => ["1", "2", "3", "4"].map((n) => [text, n])),
    },
    "three columns": {
      columns: 'a text COLLATE "en-x-icu", b uuid, c timestamptz',
      key: "a, b, c",
      rows: ["x", "X"].flatMap((a) =>
        ["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", "00000000-0000-0000-0000-000000000000"].flatMap((b) =>
          ["infinity", "-infinity", "2024-03-31 02:30:00.000001+01", "4713-01-02 00:00:00+00 BC"].map((c) => [a, b, c]),
        ),
      ),
    },
    "padded text, bool and inet": {
      columns: "a char(5), b bool, c inet",
      key: "a, b, c",
      rows: ["ab", "a", ""].flatMap((a) => ["t", "f"].flatMap((b) => ["10.0.0.1", "10.0.0.0/8"].map((c) => [a, b, c]))),
    },
    "enum and domain": {
      columns: "a mood, b amount",
      key: "a, b",
      rows: ["sad", "ok", "glad"].flatMap((a) => ["1.50", "-3.00", "1000.00"].map((b) => [a, b])),
    },
    "array, range and bytea": {
      columns: "a int[], b int4range, c bytea",
      key: "a, b, c",
      rows: ["{}", "{1,NULL}", "[0:1]={1,2}"].flatMap((a) =>
        ["empty", "[1,5)"].flatMap((b) => ["\\x", "\\x00ff"].map((c) => [a, b, c])),
      ),
    },
    'bit, "char", date': {
      columns: 'a bit(3), b "char", c date',
      key: "a, b, c",
      rows: ["101", "000"].flatMap((a) =>
        ["x", "y"].flatMap((b) => ["infinity", "0044-03-15 BC", "2024-02-29"].map((c) => [a, b, c])),
      ),
    },
  };

  describe.skipIf(missing)("each row once, in the key's order, and found by its key", () => {
    beforeAll(async () => {
      await database.sql(`
        CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
        CREATE EXTENSION citext SCHEMA public;
        CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad');
        CREATE DOMAIN amount AS numeric(12, 2)`);
    });

    test.for(Object.keys(KEYS))("%s", async (name) => {
      const { columns, key, rows } = KEYS[name]!;
      const values = rows.toReversed().map((row) => `(${row.map((text) => quoteLiteral(text)).join(", ")})`);
      await database.sql(`CREATE TABLE "${name.replaceAll('"', "")}" (${columns}, PRIMARY KEY (${key}));
        INSERT INTO "${name.replaceAll('"', "")}" VALUES ${values.join(", ")}`);
      const of = model(name.replaceAll('"', ""));
      const chunks = await readChunks(of, SMALL);
      const read = chunks.flatMap((chunk) => chunk.rows);
      expect(chunks.length).toBeGreaterThan(1);
      const casts = key
        .split(", ")
        .map((column) => `${column}::text`)
        .join(", ");
      const check = await connect({ url: database.url }, { replication: false, signal });
      const expected = await check.query({
        text: `SELECT ${casts} FROM public."${of.name}" AS t ORDER BY ${key
          .split(", ")
          .map((column) => `t.${column}`)
          .join(", ")}`,
        rowMode: "array",
      });
      await check.end();
      expect(read).toEqual(expected.rows);
      const found = await reader.lookup(of, read as string[][], signal);
      expect(sorted(found.rows)).toEqual(sorted(read));
    });
  });

  test.skipIf(missing)(
    "a declared key is read in the order of its index, and the cursor is in the key's order",
    async () => {
      await database.sql(`CREATE TABLE declared (b int NOT NULL, v text, a int NOT NULL); CREATE UNIQUE INDEX ON declared (a, b);
      INSERT INTO declared SELECT i % 7, 'v' || i, i / 7 FROM generate_series(0, 69) i`);
      const of = model("declared", ["b", "a"]);
      const chunks = await readChunks(of, { rows: 10, bytes: 1e8 });
      const texts = chunks.flatMap((chunk) => chunk.rows.map((row) => row[1]));
      expect(texts).toEqual(Array.from({ length: 70 }, (_, i) => `v${i}`));
      expect(chunks[0]!.next).toEqual(["2", "1"]);
      expect(
        (
          await reader.lookup(
            of,
            [
              ["6", "9"],
              ["0", "0"],
              ["5", "99"],
            ],
            signal,
          )
        ).rows.length,
      ).toBe(2);
    },
  );

  test.skipIf(missing)("partitions are read as one, children that inherit are not", async () => {
    await database.sql(`CREATE TABLE parted (id int PRIMARY KEY, v text) PARTITION BY HASH (id);
      CREATE TABLE parted_0 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE parted_1 PARTITION OF parted FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      INSERT INTO parted SELECT i, 'v' FROM generate_series(1, 50) i; ANALYZE parted;
      CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child () INHERITS (parent);
      INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2)`);
    const ids = (await readChunks(model("parted"), SMALL)).flatMap((chunk) => chunk.rows.map((row) => Number(row[0])));
    expect(ids).toEqual(Array.from({ length: 50 }, (_, i) => i + 1));
    expect(await reader.estimate(model("parted"), signal)).toBe(50);
    expect((await readChunks(model("parent"), SMALL)).flatMap((chunk) => chunk.rows)).toEqual([["1"]]);
    expect(await reader.estimate(model("parent"), signal)).toBeNull();
  });

  test.skipIf(missing)("chunks are bounded in bytes, whatever a row weighs", async () => {
    await database.sql(`CREATE TABLE heavy (id int PRIMARY KEY, v text);
      INSERT INTO heavy SELECT i, 'small' FROM generate_series(1, 700) i;
      INSERT INTO heavy SELECT i, repeat('x', 3000000) FROM generate_series(701, 720) i;
      INSERT INTO heavy SELECT i, 'small' FROM generate_series(721, 900) i`);
    const before = await pidOf();
    const chunks = await readChunks(model("heavy"), { rows: 5000, bytes: 2_000_000 });
    expect(chunks.flatMap((chunk) => chunk.rows.map((row) => Number(row[0])))).toEqual(
      Array.from({ length: 900 }, (_, i) => i + 1),
    );
    for (const { rows } of chunks) {
      const bytes = rows.reduce((sum, row) => sum + (row[1] as string).length, 0);
      if (rows.length > 1) expect(bytes).toBeLessThanOrEqual(2_000_000);
    }
    // The plan was for light rows: the reading was cut off rather than waited for.
    expect(await pidOf()).not.toBe(before);
  });

  test.skipIf(missing)(
    "a row of many small values weighs what it takes in memory, not what its texts are long",
    async () => {
      const names = Array.from({ length: 1599 }, (_, i) => `c${i}`);
      await database.sql(`CREATE TABLE broad (id int PRIMARY KEY, ${names.map((name) => `${name} int2`).join(", ")});
      INSERT INTO broad SELECT i, ${names.map(() => "1").join(", ")} FROM generate_series(1, 300) i`);
      const chunks = await readChunks(model("broad"), { rows: 5000, bytes: 1_000_000 });
      expect(chunks.reduce((sum, { rows }) => sum + rows.length, 0)).toBe(300);
      // A reference and a small object each: 1,600 of them are some 40 kB.
      for (const { rows } of chunks) expect(rows.length).toBeLessThan(30);
    },
  );

  async function pidOf(): Promise<string> {
    return await session.use(signal, async (client) => {
      const { rows } = await client.query<{ pid: string }>("SELECT pg_backend_pid()::text AS pid");
      return rows[0]!.pid;
    });
  }

  test.skipIf(missing)("a chunk knows which transactions it sees, and lies before its high mark", async () => {
    await database.sql("CREATE TABLE seen (id int PRIMARY KEY)");
    await using other = await clientOf(database);
    await other.query("BEGIN; INSERT INTO seen VALUES (1)");
    const open = (await other.query("SELECT pg_current_xact_id()::xid::text AS id")).rows[0] as { id: string };
    const done = (
      await database.rows("INSERT INTO seen VALUES (2) RETURNING pg_current_xact_id()::xid::text AS id")
    )[0]!["id"]!;
    const during = await reader.chunk(model("seen"), null, SMALL, signal);
    expect(during.rows).toEqual([["2"]]);
    expect([during.sees(open.id), during.sees(done)]).toEqual([false, true]);
    await other.query("COMMIT");
    const [place] = await database.rows("SELECT pg_current_wal_lsn()::text AS lsn");
    const after = await reader.lookup(model("seen"), [], signal);
    expect(after.sees(open.id)).toBe(true);
    // What became visible later is later than the earlier chunk's mark.
    const committed = parseLsn(place!["lsn"]!);
    const high = (chunk: SnapshotChunk) => lsnOf(chunk.high);
    expect(high(during)).toBeLessThan(committed);
    expect(high(after)).toBeGreaterThanOrEqual(committed);
    expect(after.high).toMatch(/^[0-9a-f]{16}-00000000$/);
  });

  test.skipIf(missing)("a table that is rewritten while a chunk waits for it does not look empty", async () => {
    await database.sql(
      "CREATE TABLE rewritten (id int PRIMARY KEY, v int); INSERT INTO rewritten SELECT i, i FROM generate_series(1, 10) i",
    );
    const first = await reader.chunk(model("rewritten"), null, { rows: 4, bytes: 1e8 }, signal);
    await using other = await clientOf(database);
    await other.query(
      "BEGIN; ALTER TABLE rewritten ALTER COLUMN v TYPE text USING 'was ' || v, ADD COLUMN w int DEFAULT 7",
    );
    const reading = reader.chunk(model("rewritten"), first.next, { rows: 100, bytes: 1e8 }, signal);
    await waiting(database, "rewritten");
    await other.query("COMMIT");
    const second = await reading;
    expect(second.rows).toEqual(Array.from({ length: 6 }, (_, i) => [String(i + 5), `was ${i + 5}`, "7"]));
    expect(second.relation.version).toBeGreaterThan(first.relation.version);
    expect(second.relation.columns.map(({ name, type }) => `${name} ${type}`)).toEqual([
      "id integer",
      "v text",
      "w integer",
    ]);
  });

  test.skipIf(missing)("a lost session is made anew by the next call", async () => {
    await database.sql("CREATE TABLE lost (id int PRIMARY KEY); INSERT INTO lost VALUES (1)");
    const pid = await pidOf();
    await database.sql(`SELECT pg_terminate_backend(${pid}, 5000)`);
    // The first call may still meet the broken session; it fails as one that may be tried again.
    const rows = await reader.chunk(model("lost"), null, SMALL, signal).then(
      (chunk) => chunk.rows,
      (error: TailraceError) => error.code,
    );
    if (rows !== "source.unreachable") expect(rows).toEqual([["1"]]);
    expect((await reader.chunk(model("lost"), null, SMALL, signal)).rows).toEqual([["1"]]);
    expect(await pidOf()).not.toBe(pid);
  });

  test.skipIf(missing)("an abort ends a reading that waits for a lock", async () => {
    await database.sql("CREATE TABLE locked (id int PRIMARY KEY)");
    await using other = await clientOf(database);
    await other.query("BEGIN; LOCK TABLE locked");
    const abort = new AbortController();
    const reading = reader.chunk(model("locked"), null, SMALL, abort.signal);
    await waiting(database, "locked");
    abort.abort(new Error("stopped by the test"));
    await expect(reading).rejects.toThrow("stopped by the test");
    await other.query("ROLLBACK");
    expect((await reader.chunk(model("locked"), null, SMALL, signal)).rows).toEqual([]);
  });

  test.skipIf(missing)("thousands of keys, keys without a row, and two spellings of one key", async () => {
    await database.sql(
      "CREATE TABLE many (id numeric PRIMARY KEY); INSERT INTO many SELECT i FROM generate_series(1, 2500) i",
    );
    const keys = Array.from({ length: 3000 }, (_, i) => [String(i + 1)]);
    const { rows, next } = await reader.lookup(model("many"), [...keys, ["1.00"], ["1"]], signal);
    expect(rows.length).toBe(2500);
    expect(next).toBeNull();
  });

  test.skipIf(missing)("what cannot be read is refused, never read as nothing", async () => {
    await database.sql(`CREATE TABLE hidden (id int PRIMARY KEY); INSERT INTO hidden VALUES (1);
      ALTER TABLE hidden ENABLE ROW LEVEL SECURITY;
      CREATE TABLE forbidden (id int PRIMARY KEY); CREATE VIEW looked AS SELECT 1 AS id;
      CREATE ROLE r_${database.name} LOGIN PASSWORD 'secret'; GRANT SELECT ON hidden TO r_${database.name}`);
    const url = new URL(database.url);
    url.username = `r_${database.name}`;
    url.password = "secret";
    await using poor = new SqlSession((inner) => connect({ url: url.href }, { replication: false, signal: inner }));
    const poorReader = new SnapshotReader(
      poor,
      { schema: "public", publication: "none" },
      new RelationVersions(),
      new LogMark(poor),
    );
    const codeOf = (of: TableModel) =>
      poorReader.chunk(of, null, SMALL, signal).then(String, (error: TailraceError) => error.code);
    expect(await codeOf(model("hidden"))).toBe("source.config");
    expect(await codeOf(model("forbidden"))).toBe("source.config");
    expect(await codeOf(model("looked"))).toBe("source.model");
    expect(await codeOf(model("nowhere"))).toBe("source.model");
    expect(await codeOf(model("hidden", ["ID"]))).toBe("source.model");
    // A role that may not write to the log still reads.
    await database.sql(`GRANT SELECT ON forbidden TO r_${database.name};
      DO $$ DECLARE f regprocedure; BEGIN
        FOR f IN SELECT oid FROM pg_proc WHERE proname = 'pg_logical_emit_message' LOOP
          EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
        END LOOP; END $$`);
    const chunk = await poorReader.chunk(model("forbidden"), null, SMALL, signal);
    expect(chunk.high > "0000000000000001-00000000").toBe(true);
    await database.sql(`DROP OWNED BY r_${database.name}; DROP ROLE r_${database.name}`);
  });

  test.skipIf(missing)("a key that became another one since the backfill began is named", async () => {
    await database.sql("CREATE TABLE rekeyed (a int, b int, PRIMARY KEY (a, b)); INSERT INTO rekeyed VALUES (1, 1)");
    await expect(reader.chunk(model("rekeyed"), ["1"], SMALL, signal)).rejects.toMatchObject({ code: "source.model" });
  });
});

function sorted(rows: readonly Values[]): string[] {
  return rows.map((row) => JSON.stringify(row)).toSorted();
}

async function clientOf(database: TestDatabase): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: database.url });
  client.on("error", () => {});
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Resolves when somebody waits for a lock on the table. */
async function waiting(database: TestDatabase, table: string): Promise<void> {
  const deadline = Date.now() + 10_000;
  for (;;) {
    const rows = await database.rows("SELECT 1 FROM pg_locks WHERE NOT granted AND relation = $1::regclass", [table]);
    if (rows.length > 0) return;
    if (Date.now() > deadline) throw new Error(`nobody waits for ${table}`);
  }
}
