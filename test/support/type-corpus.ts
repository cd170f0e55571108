// Columns of every kind of PostgreSQL type with values that are easy to get wrong, for tests that compare what arrives
// with what `column::text` prints.
import { quoteIdentifier, quoteLiteral, quoteName } from "../../src/kit/sql.ts";

export interface CorpusColumn {
  readonly type: string;
  /** Texts that the type takes; null is SQL NULL. */
  readonly values: readonly (string | null)[];
}

/** Types that the corpus uses, in a schema of their own; and trouble in another one that must not matter. */
export const CORPUS_SETUP = `
  CREATE SCHEMA "Corpus";
  CREATE TYPE "Corpus".mood AS ENUM ('sad', 'ok', 'so, "so"', 'naïve', 'NULL', '');
  CREATE TYPE "Corpus".pair AS (a int8, b text, c bool, d numeric[]);
  CREATE DOMAIN "Corpus".flag AS bool;
  CREATE DOMAIN "Corpus".flag2 AS "Corpus".flag;
  CREATE DOMAIN "Corpus".code AS char(5);
  CREATE DOMAIN "Corpus".address AS inet;
  CREATE DOMAIN "Corpus".amount AS numeric(12, 3) CHECK (VALUE > -1000);
  CREATE DOMAIN "Corpus".numbers AS int4[];
  CREATE DOMAIN "Corpus".doc AS jsonb;
  CREATE TYPE "Corpus".span AS RANGE (subtype = float8);
  CREATE SCHEMA unrelated;
  CREATE TYPE unrelated.nothing AS ENUM ();
  CREATE TYPE unrelated.shell;
`;

const TEXTS = [
  "",
  " ",
  "plain",
  "NULL",
  "null",
  "\\",
  '"',
  "'",
  "a,b",
  "{}",
  "tab\tline\nreturn\r",
  "naïve 😀 \u202eشرق",
  "\u0001\u007f",
  "x".repeat(3000),
];
const quoted = (text: string) => `"${text.replaceAll(/["\\]/g, String.raw`\$&`)}"`;

export const TYPE_CORPUS: readonly CorpusColumn[] = [
  { type: "bool", values: ["t", "f", null] },
  { type: "int2", values: ["-32768", "0", "32767", null] },
  { type: "int4", values: ["-2147483648", "0", "2147483647"] },
  { type: "int8", values: ["-9223372036854775808", "9007199254740993", "9223372036854775807", null] },
  {
    type: "numeric",
    values: [
      "NaN",
      "Infinity",
      "-Infinity",
      "0",
      "0.00",
      "-0.5",
      "12345678901234567890.12345678901234567890",
      "1e-20",
      "1e40",
      "007.10",
    ],
  },
  { type: "numeric(10,2)", values: ["1", "-99999999.99", "NaN"] },
  { type: "float4", values: ["1.1", "3.4028235e38", "1e-45", "NaN", "Infinity", "-0", "16777217"] },
  {
    type: "float8",
    values: [
      "0.1",
      "1e20",
      "1e-5",
      "1.7976931348623157e308",
      "5e-324",
      "NaN",
      "-Infinity",
      "-0",
      "0.30000000000000004",
    ],
  },
  { type: "money", values: ["1234567.89", "-0.01"] },
  { type: "text", values: TEXTS },
  { type: "varchar(10)", values: ["", "ab  ", "naïve", null] },
  { type: "char(5)", values: ["", "ab", "  a", "abcde", "é"] },
  { type: "bpchar", values: ["ab  ", ""] },
  { type: '"char"', values: ["a", "", " "] },
  { type: "name", values: ["some name", '"quoted"'] },
  {
    type: "bytea",
    values: ["\\x", `\\x${Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, "0")).join("")}`],
  },
  { type: "date", values: ["2024-02-29", "4713-01-01 BC", "5874897-12-31", "infinity", "-infinity", "0001-01-01"] },
  { type: "time", values: ["00:00:00", "23:59:59.999999", "24:00:00"] },
  { type: "timetz", values: ["00:00:00+14", "23:59:59.999999-12:30"] },
  {
    type: "timestamp",
    values: ["2024-03-31 02:30:00", "294276-12-31 23:59:59.999999", "0044-03-15 12:00:00 BC", "infinity"],
  },
  { type: "timestamp(0)", values: ["2024-03-31 02:30:00.6"] },
  {
    type: "timestamptz",
    values: [
      "2024-03-31 02:30:00.123456+01",
      "2024-11-03 01:30:00 America/New_York",
      "4713-01-02 00:00:00+00 BC",
      "-infinity",
      "1883-11-18 12:03:58-04:56:02",
    ],
  },
  { type: "interval", values: ["1 year 2 mons 3 days 04:05:06.789", "-1 day +02:03", "0", "178000000 years"] },
  { type: "uuid", values: ["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"] },
  { type: "inet", values: ["10.0.0.1", "10.0.0.1/32", "10.0.0.0/8", "::1", "2001:db8::/48", "::ffff:1.2.3.4"] },
  { type: "cidr", values: ["10.0.0.0/8", "10.1.2.3/32", "2001:db8::/32", "::1"] },
  { type: "macaddr", values: ["08:00:2b:01:02:03"] },
  { type: "macaddr8", values: ["08:00:2b:01:02:03:04:05"] },
  {
    type: "json",
    values: [
      '{"n": 12345678901234567890.1234567890, "a":1,"a":2}',
      '[ 1 , "\\ud83d\\ude00" ]',
      "null",
      '"\\u0000"',
      '{\n  "line": "break"\n}',
      "1e999",
    ],
  },
  { type: "jsonb", values: ['{"n": 12345678901234567890.1234567890, "b": [true, null]}', "null", '"x"', "1e400"] },
  { type: "jsonpath", values: ["$.a[*] ? (@ > 1)"] },
  { type: "xml", values: ["<a b='1'>é</a>", "text", ""] },
  { type: "bit(3)", values: ["101"] },
  { type: "varbit", values: ["", "1011"] },
  { type: "point", values: ["(1.5,-2e10)"] },
  { type: "line", values: ["{1,2,3}"] },
  { type: "lseg", values: ["[(0,0),(1,1)]"] },
  { type: "box", values: ["(2,2),(0,0)"] },
  { type: "path", values: ["[(0,0),(1,1)]", "((0,0),(1,1),(2,0))"] },
  { type: "polygon", values: ["((0,0),(1,1),(2,0))"] },
  { type: "circle", values: ["<(1,2),3>"] },
  { type: "tsvector", values: ["'a' 'it''s':1A,2B"] },
  { type: "tsquery", values: ["'a' & !'b' <-> 'c':*"] },
  { type: "int4range", values: ["[1,10)", "empty", "(,5]", "(,)"] },
  { type: "numrange", values: ["[1.10,2.0)", "(-Infinity,NaN)"] },
  { type: "tstzrange", values: ['["2024-03-31 02:30:00+01",infinity)', "empty"] },
  { type: "int4multirange", values: ["{}", "{[1,3),[5,6)}"] },
  { type: "tstzmultirange", values: ['{["2024-01-01 00:00:00+00","2024-02-01 00:00:00+00")}'] },
  { type: "oid", values: ["0", "4294967295"] },
  { type: "regclass", values: ["pg_class", '"Corpus".nowhere_near_here', "0"].slice(0, 1) },
  { type: "regtype", values: ["integer", '"Corpus".mood'] },
  { type: "xid", values: ["4294967295"] },
  { type: "xid8", values: ["18446744073709551615"] },
  { type: "tid", values: ["(1,2)"] },
  { type: "pg_lsn", values: ["16/B374D848", "0/0"] },
  { type: "pg_snapshot", values: ["10:20:10,14,15"] },
  { type: "int2vector", values: ["1 2 3", ""] },
  { type: "oidvector", values: ["1 4294967295"] },
  { type: '"Corpus".mood', values: ["sad", 'so, "so"', "naïve", "", null] },
  { type: '"Corpus".pair', values: ['(9223372036854775807,"a ""b"", c",t,"{1.50,NULL}")', "(,,,)"] },
  { type: '"Corpus".flag', values: ["t", "f"] },
  { type: '"Corpus".flag2', values: ["t", "f", null] },
  { type: '"Corpus".code', values: ["ab", ""] },
  { type: '"Corpus".address', values: ["10.0.0.1", "10.0.0.0/8"] },
  { type: '"Corpus".amount', values: ["1.5", "-999.999"] },
  { type: '"Corpus".numbers', values: ["{1,2,NULL}", "{}"] },
  { type: '"Corpus".doc', values: ['{"a": [1.50]}'] },
  { type: '"Corpus".span', values: ["[1.5,2.5)", "empty"] },
  { type: "bool[]", values: ["{t,f,NULL}", "{{t},{f}}", "{}", null] },
  {
    type: "int4[]",
    values: ["{1,2,3}", "[0:1]={1,2}", "{{{1,2},{3,4}},{{5,6},{NULL,8}}}", "[-1:0][2:3]={{1,2},{3,4}}", "{}"],
  },
  { type: "int8[]", values: ["{9223372036854775807,-9223372036854775808}"] },
  { type: "numeric[]", values: ["{NaN,Infinity,-Infinity,12345678901234567890.10,NULL}"] },
  { type: "float8[]", values: ["{0.1,1e300,NaN,-Infinity,-0}"] },
  { type: "text[]", values: [`{${TEXTS.map(quoted).join(",")},NULL,bare}`, '{{"NULL",NULL},{null,"null"}}', '{""}'] },
  { type: "varchar(3)[]", values: ["{a,b}"] },
  { type: "char(3)[]", values: ["{a,NULL}"] },
  { type: "inet[]", values: ["{10.0.0.1,::1/128,10.0.0.0/8}"] },
  { type: "bytea[]", values: ['{"\\\\x00ff","\\\\x"}'] },
  {
    type: "json[]",
    values: [String.raw`{"{\"a\": 12345678901234567890, \"b\": \"x,y\"}","[1, 2]","null",NULL}`, '{"[1,\n2]"}'],
  },
  { type: "jsonb[]", values: [String.raw`{"{\"a\": 1.50}","\"NULL\"",NULL}`, '{"1"}'] },
  { type: "date[]", values: ["{2024-02-29,infinity,NULL}"] },
  { type: "timestamptz[]", values: ['{"2024-03-31 02:30:00.123456+01",-infinity}'] },
  { type: "interval[]", values: ['{"1 day","00:00:01"}'] },
  { type: "uuid[]", values: ["{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}"] },
  { type: "box[]", values: ["{(2,2),(0,0);(3,3),(1,1)}", "{(1,1),(0,0)}"] },
  { type: "point[]", values: ['{"(1,2)",NULL}'] },
  { type: "int4range[]", values: ['{"[1,3)",empty}'] },
  { type: "money[]", values: ['{"1234.5"}'] },
  { type: '"Corpus".mood[]', values: [String.raw`{sad,"so, \"so\"",naïve,"NULL","",NULL}`] },
  { type: '"Corpus".pair[]', values: [String.raw`{"(1,\"a b\",t,)","(,,,)",NULL}`] },
  { type: '"Corpus".flag[]', values: ["{t,f,NULL}"] },
  { type: '"Corpus".amount[]', values: ["{1.500,NULL}"] },
  { type: '"Corpus".numbers[]', values: ['{"{1,2}","{}",NULL}', '{"[0:1]={1,NULL}"}'] },
];

export interface CorpusTable {
  /** Quoted, with its schema. */
  readonly sql: string;
  /** Column names, `id` left out, in the order of {@link TYPE_CORPUS}. */
  readonly columns: readonly string[];
  /** Makes the table, with its types. */
  readonly create: string;
  /** One row a statement; row n has every column's n-th value, begun again when they are fewer. */
  readonly inserts: readonly string[];
}

/** A table `Corpus.every type` with a column for each type of the corpus and a key `id`. */
export function corpusTable(): CorpusTable {
  const sql = quoteName("Corpus", "every type");
  const columns = TYPE_CORPUS.map(({ type }, i) => `c${i} ${type.replaceAll(/["\s]/g, "")}`);
  const definitions = TYPE_CORPUS.map(({ type }, i) => `${quoteIdentifier(columns[i]!)} ${type}`);
  const rows = Math.max(...TYPE_CORPUS.map(({ values }) => values.length));
  const inserts = Array.from({ length: rows }, (_, row) => {
    const values = TYPE_CORPUS.map(({ type, values: all }) => {
      const value = all[row % all.length]!;
      return value === null ? "NULL" : `${quoteLiteral(value)}::${type}`;
    });
    return `INSERT INTO ${sql} VALUES (${row + 1}, ${values.join(", ")})`;
  });
  return {
    sql,
    columns,
    create: `${CORPUS_SETUP}; CREATE TABLE ${sql} (id int PRIMARY KEY, ${definitions.join(", ")})`,
    inserts,
  };
}
