// Random values of the types whose bytes are packed: the same texts from the log as from a query.
import fc from "fast-check";
import { expect, test } from "vitest";
import { MARIADB_INSTALLED, mariadbDatabase } from "../../../test/support/mariadb.ts";
import { count, mysqlSource, readUntil, startBinlogServer, tableModel } from "../../../test/support/mysql-source.ts";

const { signal } = new AbortController();
const ROWS = 3000;

const digits = (most: number) =>
  fc.string({ unit: fc.constantFrom("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"), minLength: 1, maxLength: most });
const sign = fc.constantFrom("", "-");
const decimal = (whole: number, scale: number) =>
  fc.tuple(sign, digits(whole), digits(scale)).map(([minus, left, right]) => `${minus}${left}.${right}`);
const two = (most: number) => fc.integer({ min: 0, max: most }).map((value) => String(value).padStart(2, "0"));
const micros = fc.integer({ min: 0, max: 999_999 }).map((value) => String(value).padStart(6, "0"));
const clock = fc.tuple(two(23), two(59), two(59), micros).map(([h, m, s, us]) => `${h}:${m}:${s}.${us}`);
const date = fc
  .tuple(fc.integer({ min: 0, max: 9999 }), two(12), two(28))
  .map(([year, month, day]) => `${String(year).padStart(4, "0")}-${month}-${day}`);
const text = (value: fc.Arbitrary<string>) => value.map((each) => `'${each}'`);
const bits = (from: number, length: number) =>
  fc.uint8Array({ minLength: length, maxLength: length }).map((bytes) => {
    const view = new DataView(Uint8Array.from(bytes).buffer);
    return from === 4 ? view.getFloat32(0) : view.getFloat64(0);
  });
const number = (value: fc.Arbitrary<number>) => value.filter(Number.isFinite).map((each) => each.toExponential(17));

const COLUMNS: Readonly<Record<string, fc.Arbitrary<string>>> = {
  "decimal(5,2)": decimal(3, 2),
  "decimal(20,9)": decimal(11, 9),
  "decimal(65,30)": decimal(35, 30),
  "decimal(28,19)": decimal(9, 19),
  bigint: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String),
  "bigint unsigned": fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(String),
  mediumint: fc.integer({ min: -(2 ** 23), max: 2 ** 23 - 1 }).map(String),
  float: number(bits(4, 4)),
  double: number(bits(8, 8)),
  "bit(53)": fc.bigInt({ min: 0n, max: 2n ** 53n - 1n }).map(String),
  date: text(date),
  "datetime(2)": text(fc.tuple(date, clock).map(([day, at]) => `${day} ${at}`)),
  "datetime(5)": text(fc.tuple(date, clock).map(([day, at]) => `${day} ${at}`)),
  "timestamp(6) NULL": text(
    fc.tuple(fc.integer({ min: 1971, max: 2037 }), two(11), two(27), clock).map(([year, month, day, at]) => {
      return `${year}-${String(Number(month) + 1).padStart(2, "0")}-${String(Number(day) + 1).padStart(2, "0")} ${at}`;
    }),
  ),
  "time(3)": text(
    fc
      .tuple(sign, fc.integer({ min: 0, max: 837 }), two(59), two(59), micros)
      .map(([minus, h, m, s, us]) => `${minus}${h}:${m}:${s}.${us}`),
  ),
  "time(6)": text(
    fc
      .tuple(sign, fc.integer({ min: 0, max: 837 }), two(59), two(59), micros)
      .map(([minus, h, m, s, us]) => `${minus}${h}:${m}:${s}.${us}`),
  ),
  "binary(7)": fc.uint8Array({ maxLength: 7 }).map((bytes) => `x'${Buffer.from(bytes).toString("hex")}'`),
  "varchar(30)": text(
    fc.string({ unit: "grapheme", maxLength: 12 }).map((value) => value.replaceAll("\\", "\\\\").replaceAll("'", "''")),
  ),
  "varchar(30) CHARACTER SET latin1": fc
    .uint8Array({ maxLength: 20 })
    .map((bytes) => `_latin1 x'${Buffer.from(bytes).toString("hex")}'`),
  uuid: fc.uuid().map((value) => `'${value}'`),
  inet6: fc.ipV6().map((value) => `'${value}'`),
};

test.skipIf(!MARIADB_INSTALLED)(
  "random values",
  async () => {
    await using server = await startBinlogServer();
    await using database = await mariadbDatabase(server);
    const columns = Object.keys(COLUMNS).map((type, i) => `c${i} ${type}`);
    await database.sql(`SET sql_mode = ''; CREATE TABLE r (id int PRIMARY KEY, ${columns.join(", ")})`);
    await using source = mysqlSource(database.url);
    const model = tableModel("r");
    const start = await source.open([model], [], signal);
    const seed = Number(process.env["SEED"] ?? Date.now() % 1e9);
    const rows = fc.sample(fc.tuple(...Object.values(COLUMNS)), { numRuns: ROWS, seed });
    for (let at = 0; at < ROWS; at += 100) {
      const tuples = rows.slice(at, at + 100).map((values, i) => `(${[at + i, ...values].join(", ")})`);
      await database.sql(`INSERT INTO r VALUES ${tuples.join(", ")}`);
    }
    const { changes } = await readUntil(source, start.position, count(ROWS));
    const read = await source.snapshot(model, null, { rows: ROWS + 1, bytes: 1e9 }, signal);
    const all = [...read.rows];
    for (let { next } = read; next !== null;) {
      const more = await source.snapshot(model, next, { rows: ROWS + 1, bytes: 1e9 }, signal);
      all.push(...more.rows);
      ({ next } = more);
    }
    expect(all).toHaveLength(ROWS);
    const types = ["id", ...Object.keys(COLUMNS)];
    for (const [i, row] of all.entries()) {
      const { after } = changes[i]!;
      if (row.some((value, place) => value !== after![place]))
        expect({ seed, ...Object.fromEntries(types.map((type, place) => [type, after![place]])) }).toEqual({
          seed,
          ...Object.fromEntries(types.map((type, place) => [type, row[place]])),
        });
    }
  },
  60_000,
);
