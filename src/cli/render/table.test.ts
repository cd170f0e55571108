import { expect, test } from "vitest";
import { painter } from "./paint.ts";
import { pairs, table } from "./table.ts";
import { bytes, count, duration, plural, rate } from "./units.ts";
import { wrapped } from "./wrap.ts";

test("columns are as wide as what is seen of them: colours and accents do not count", () => {
  const paint = painter(true);
  const text = table(
    [{ title: "NAME" }, { title: "N", align: "right" }, { title: "" }],
    [
      [paint("red", "a"), "1", ""],
      ["ǘber", "1,000", "note\nof two lines"],
    ],
  );
  expect(text.replaceAll(paint("red", "a"), "a")).toBe("NAME      N\na         1\nǘber  1,000  note of two lines\n");
  expect(painter(false)("red", "a")).toBe("a");
});

test("the lines of a value stand under each other", () => {
  expect(
    pairs(
      [
        ["a", "1"],
        ["long", "2\n3"],
      ],
      " ",
    ),
  ).toBe(" a     1\n long  2\n       3\n");
});

test.each([
  [0, "0 B"],
  [999, "999 B"],
  [1000, "1.0 kB"],
  [999_949, "999.9 kB"],
  [999_950, "1.0 MB"],
  [50 * 1024 ** 3, "53.7 GB"],
])("%d bytes are %s", (value, text) => expect(bytes(value)).toBe(text));

test.each([
  [0, "0 ms"],
  [4.26, "4.3 ms"],
  [999.4, "999 ms"],
  [1234, "1.2 s"],
  [9949, "9.9 s"],
  [59_400, "59 s"],
  [60_000, "1 min"],
  [200_000, "3 min 20 s"],
  [7_500_000, "2 h 5 min"],
  [360_000_000, "4 d 4 h"],
])("%d ms are %s", (value, text) => expect(duration(value)).toBe(text));

test("numbers", () => {
  expect([count(1_234_567), rate(0), rate(0.42), rate(1234.5), plural(1, "row"), plural(0, "row")]).toEqual([
    "1,234,567",
    "0/s",
    "0.4/s",
    "1,235/s",
    "1 row",
    "0 rows",
  ]);
});

test("prose is wrapped between words, and a word that is too long stays whole", () => {
  expect(wrapped("one two three\nfour extraordinary x", 9)).toBe("one two\nthree\nfour\nextraordinary\nx");
});
