import fc from "fast-check";
import { expect, test } from "vitest";
import { jsonString } from "../../contracts/json-string.ts";
import { isJson, jsonNumber, jsonOnOneLine, toJsonBoolean, toJsonNumber } from "./json-text.ts";

test("any text comes back from its JSON string", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), (text) => {
      expect(JSON.parse(jsonString(text))).toBe(text);
      expect(jsonString(text)).toBe(JSON.stringify(text));
    }),
  );
});

test("every code unit below 0x3000 is written as JSON.stringify writes it", () => {
  for (let unit = 0; unit < 0x3000; unit++) {
    const text = `a${String.fromCharCode(unit)}b`;
    expect(jsonString(text)).toBe(JSON.stringify(text));
  }
});

test.each([
  ["\u0000", String.raw`"\u0000"`],
  ["\u2028\u2029", '"\u2028\u2029"'],
  ['say "x"', String.raw`"say \"x\""`],
  [String.raw`C:\dir`, String.raw`"C:\\dir"`],
  ["tab\tline\nreturn\r", String.raw`"tab\tline\nreturn\r"`],
  ["\u007f", '"\u007f"'],
  ["😀", '"😀"'],
])("the text %j", (text, json) => {
  expect(jsonString(text)).toBe(json);
});

test.each([
  ["0", "0"],
  ["-12.50", "-12.50"],
  ["1e+20", "1e+20"],
  ["123456789012345678901234567890.10", "123456789012345678901234567890.10"],
  ["NaN", '"NaN"'],
  ["-Infinity", '"-Infinity"'],
  ["007", '"007"'],
  [".5", '".5"'],
  ["", '""'],
])("the number %j is written %j", (text, json) => {
  expect(jsonNumber(text)).toBe(json);
});

test.each([
  ["12.50", "12.50"],
  ["+5", "5"],
  ["-007.10", "-7.10"],
  ["5.", "5"],
  [".5", "0.5"],
  ["-.5e-3", "-0.5e-3"],
  ["00", "0"],
  ["000.00", "0.00"],
  ["1E5", "1E5"],
  ["01e05", "1e05"],
])("as number: %j becomes %j", (text, json) => {
  expect(toJsonNumber(text)).toBe(json);
});

test.each(["", ".", "+", "-", "e5", "1e", "1 ", " 1", "1,000", "0x10", "NaN", "Infinity", "1_000", "--1", "１"])(
  "as number: %j is none",
  (text) => {
    expect(toJsonNumber(text)).toBeNull();
  },
);

test("as number keeps value and digits, whatever the decoration", () => {
  const digits = fc.stringMatching(/^[0-9]{1,30}$/);
  fc.assert(
    fc.property(fc.constantFrom("", "+", "-"), digits, fc.option(digits), (sign, whole, fraction) => {
      const written = toJsonNumber(`${sign}${whole}${fraction === null ? "" : `.${fraction}`}`);
      expect(jsonNumber(written!)).toBe(written);
      const [writtenWhole, writtenFraction = null] = written!.replace("-", "").split(".");
      expect(BigInt(writtenWhole!)).toBe(BigInt(whole));
      expect(writtenFraction).toBe(fraction);
      expect(written!.startsWith("-")).toBe(sign === "-");
    }),
  );
});

test("as boolean takes what databases and people write", () => {
  for (const text of ["true", "t", "TRUE", "yes", "Y", "on", "1"]) expect(toJsonBoolean(text)).toBe("true");
  for (const text of ["false", "f", "False", "no", "N", "off", "0"]) expect(toJsonBoolean(text)).toBe("false");
  for (const text of ["", "2", "tru", "null", " true", "constructor", "__proto__"])
    expect(toJsonBoolean(text)).toBeNull();
});

test("line breaks between the tokens of JSON become spaces, and nothing else changes", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      const pretty = JSON.stringify(value, null, "\r\n");
      const line = jsonOnOneLine(pretty);
      expect(line).not.toMatch(/[\r\n]/);
      expect(JSON.parse(line)).toEqual(JSON.parse(pretty));
    }),
  );
  expect(isJson('{"a": [1, 2')).toBe(false);
  expect(isJson("1.0000000000000000000000000000001")).toBe(true);
});
