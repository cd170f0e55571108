// Columns of every type that MariaDB has, with values that are hard to print.
export interface TypeCase {
  readonly type: string;
  /** As SQL. */
  readonly values: readonly string[];
}

const integers = (bits: number): readonly string[] => {
  const most = 2n ** BigInt(bits - 1);
  return ["0", "1", "-1", `${most - 1n}`, `-${most}`];
};
const naturals = (bits: number): readonly string[] => [
  "0",
  "1",
  `${2n ** BigInt(bits) - 1n}`,
  `${2n ** BigInt(bits - 1)}`,
];
const times = [
  "'00:00:00'",
  "'23:59:59.999999'",
  "'-00:00:00.000001'",
  "'-838:59:59'",
  "'838:59:59'",
  "'-12:34:56.789012'",
];
const datetimes = [
  "'1000-01-01 00:00:00'",
  "'9999-12-31 23:59:59.999999'",
  "'0000-00-00 00:00:00'",
  "'2024-02-29 12:34:56.789012'",
  "'2024-00-00 01:02:03'",
  "'1969-12-31 23:59:59.5'",
];
const timestamps = [
  "'1970-01-01 00:00:01'",
  "'2038-01-19 03:14:07.999999'",
  "'2024-02-29 23:59:59.123456'",
  "'2000-12-31 00:00:00'",
  "'2100-01-01 00:00:00'",
  "0",
];
const floats = [
  "0",
  "-0.0e0",
  "1",
  "0.1",
  "-3.14159274",
  "1e10",
  "3.4028234e38",
  "1.17549435e-38",
  "16777216",
  "123456.789",
];
const doubles = [
  ...floats,
  "1.7976931348623157e308",
  "5e-324",
  "1e21",
  "1e-7",
  "9007199254740993",
  "0.1e0 + 0.2e0",
  "123456789.123456789",
];
const texts = ["''", "'a'", "'zoë 😀'", "'it''s \\\\ \\n \\t \\0'", "REPEAT('ü', 70)", "'  both  '"];
const latin = ["''", "'é'", "'€ß'", "REPEAT('x', 90)", "'~ÿ'"];
const bytes = ["''", "x'00'", "x'00ff80'", "x'6162000000'", "x'0000000000'"];

export const TYPE_CASES: readonly TypeCase[] = [
  { type: "tinyint", values: integers(8) },
  { type: "smallint", values: integers(16) },
  { type: "mediumint", values: integers(24) },
  { type: "int", values: integers(32) },
  { type: "bigint", values: [...integers(64), "9007199254740993", "-9007199254740993", "4294967296"] },
  { type: "tinyint unsigned", values: naturals(8) },
  { type: "smallint unsigned", values: naturals(16) },
  { type: "mediumint unsigned", values: naturals(24) },
  { type: "int unsigned", values: naturals(32) },
  { type: "bigint unsigned", values: naturals(64) },
  { type: "int(8) zerofill", values: ["0", "42", "4294967295"] },
  { type: "decimal(10,2)", values: ["0", "0.01", "-0.01", "99999999.99", "-99999999.99", "1234567.8"] },
  {
    type: "decimal(65,30)",
    values: ["0", "1.000000000000000000000000000001", "-12345678901234567890123456789012345.6789"],
  },
  { type: "decimal(9,9)", values: ["0", "0.123456789", "-0.000000001"] },
  { type: "decimal(20,0) unsigned", values: ["0", "18446744073709551616"] },
  { type: "float", values: floats },
  { type: "double", values: doubles },
  { type: "double(12,3)", values: ["0", "1.5", "-123456.789"] },
  { type: "bit(1)", values: ["0", "1"] },
  { type: "bit(17)", values: ["0", "1", "131071", "65536"] },
  { type: "bit(64)", values: ["0", "18446744073709551615", "9007199254740993"] },
  { type: "year", values: ["0", "1901", "2155", "2026"] },
  { type: "date", values: ["'1000-01-01'", "'9999-12-31'", "'0000-00-00'", "'2024-02-29'", "'2024-05-00'"] },
  { type: "time", values: times },
  { type: "time(3)", values: times },
  { type: "time(6)", values: times },
  { type: "datetime", values: datetimes },
  { type: "datetime(1)", values: datetimes },
  { type: "datetime(6)", values: datetimes },
  { type: "timestamp NULL", values: timestamps },
  { type: "timestamp(4) NULL", values: timestamps },
  { type: "timestamp(6) NULL", values: timestamps },
  { type: "char(80)", values: texts },
  { type: "varchar(80)", values: texts },
  { type: "varchar(300)", values: texts },
  { type: "tinytext", values: texts },
  { type: "text", values: texts },
  { type: "mediumtext", values: texts },
  { type: "longtext", values: texts },
  { type: "char(100) CHARACTER SET latin1", values: latin },
  { type: "varchar(100) CHARACTER SET latin1", values: latin },
  { type: "text CHARACTER SET latin2", values: ["''", "'é'", "'ł'"] },
  { type: "varchar(40) CHARACTER SET utf16", values: ["''", "'aé😀'"] },
  { type: "varchar(40) CHARACTER SET ucs2", values: ["''", "'aé'"] },
  { type: "varchar(40) CHARACTER SET utf32", values: ["''", "'aé😀'"] },
  { type: "varchar(40) CHARACTER SET sjis", values: ["''", "'日本'"] },
  { type: "varchar(40) CHARACTER SET gbk", values: ["''", "'中文'"] },
  { type: "varchar(40) CHARACTER SET cp1251", values: ["''", "'Привет'"] },
  { type: "varchar(40) CHARACTER SET utf8mb3", values: ["''", "'日é'"] },
  { type: "varchar(40) COLLATE utf8mb4_bin", values: texts.slice(0, 4) },
  { type: "varchar(40) COLLATE uca1400_as_cs", values: texts.slice(0, 4) },
  { type: "binary(5)", values: bytes },
  { type: "varbinary(300)", values: bytes },
  { type: "tinyblob", values: bytes },
  { type: "blob", values: [...bytes, "REPEAT(x'ff', 700)"] },
  { type: "longblob", values: bytes },
  { type: "enum('a','it''s','ü')", values: ["'a'", "'it''s'", "'ü'", "0"] },
  { type: "enum('é','b') CHARACTER SET latin1", values: ["'é'", "'b'"] },
  { type: "set('x','y','ü')", values: ["''", "'x'", "'x,ü'", "'x,y,ü'"] },
  { type: "json", values: [`'{"a": [1, 2.50, null], "ü": "x\\\\n"}'`, "'[]'", "'12345678901234567890.5'"] },
  {
    type: "uuid",
    values: [
      "'123e4567-e89b-12d3-a456-426614174000'",
      "'00000000-0000-0000-0000-000000000000'",
      "'01890a5d-ac96-774b-bcce-b302099a8057'",
      "'ffffffff-ffff-ffff-ffff-ffffffffffff'",
      "'f81d4fae-7dec-41d0-8765-00a0c91e6b00'",
    ],
  },
  { type: "inet4", values: ["'0.0.0.0'", "'255.1.2.3'"] },
  {
    type: "inet6",
    values: [
      "'::'",
      "'::1'",
      "'2001:db8::8:800:200c:417a'",
      "'::ffff:1.2.3.4'",
      "'fe80::'",
      "'1:0:0:2:0:0:0:3'",
      "'0:1:2:3:4:5:6:7'",
      "'1:2:3:0:5:6:7:8'",
      "'::1.2.3.4'",
    ],
  },
  { type: "point", values: ["ST_GeomFromText('POINT(1 2)')", "ST_GeomFromText('POINT(-1.5 2.25)', 4326)"] },
  { type: "geometry", values: ["ST_GeomFromText('LINESTRING(0 0,1 1)')"] },
];

/** JSON as MySQL keeps it: in a form of its own. */
export const JSON_VALUES: readonly string[] = [
  `'{}'`,
  `'[]'`,
  `'null'`,
  `'"it\\'s \\\\"\\\\\\\\ \\\\u0001 \\\\n ü 😀"'`,
  `'[1, -1, 32767, -32768, 32768, 65535, 65536, 2147483648, -2147483649, 4294967296, 9223372036854775807, 18446744073709551615]'`,
  `'[1.0, 1e20, 1.5e-7, 0.1, -0.0, 1e100, 12345678901234567890.5, 1e16, 123456789012345680000]'`,
  `'{"a": {"b": [true, false, null, {"c": "d"}]}, "": 1, "longer": [[]]}'`,
  "JSON_OBJECT('d', CAST('2026-11-24' AS DATE), 't', CAST('-12:34:56.789' AS TIME(3)), 'dt', CAST('2026-11-24 01:02:03.4' AS DATETIME(6)))",
  "JSON_ARRAY(CAST(1.50 AS DECIMAL(10,3)), CAST(-0.001 AS DECIMAL(10,3)), 1 / 3)",
  "JSON_ARRAY(REPEAT('x', 70000), REPEAT('y', 200), 5)",
  "JSON_OBJECT('k', REPEAT('x', 70000), 'n', 70000, 'm', CAST(4294967295 AS UNSIGNED), 'o', JSON_OBJECT('p', 1))",
  "JSON_ARRAY(CAST('bytes' AS BINARY), b'101')",
];
