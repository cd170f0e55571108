import { describe, expect, test } from "vitest";
import { delivery, shapeOf } from "../../test/support/deliveries.ts";
import { answerText } from "./answer-text.ts";

const shape = shapeOf({ id: "bigint", email: "text", full_name: "text", born: "date", notes: "text" });
const row = delivery({
  shape,
  values: ["48151623", "canary.person@example.org", "Šárka O'Canary", "1984-02-29", "likes jazz\nand tea"],
  old: ["48151623", "former@else.where", null, null, null],
});

describe("values are blanked, however they are echoed", () => {
  test.each([
    ["as it is", "bad email canary.person@example.org"],
    ["in other case", "bad email CANARY.PERSON@EXAMPLE.ORG"],
    ["cut", 'email "canary.per…" is bad'],
    ["inside a word", "bad key users_canaryperson and xcanaryx"],
    ["JSON", JSON.stringify({ error: "Šárka O'Canary" })],
    ["JSON with escapes", String.raw`{"error":"\u0161\u00e1rka O\u0027\u0043anary"}`],
    ["HTML", "O&#39;Canary &#67;anary"],
    ["URL-encoded", "canary.person%40example.org %63anary"],
    ["the old row", "duplicate former@else.where"],
    ["the key", "Key (id)=(48151623) exists"],
    ["a number written otherwise", "id 48,151,623"],
    ["base64", Buffer.from("canary.person@example.org").toString("base64")],
  ])("%s", (_, text) => {
    const kept = answerText(text, [row], [], false) ?? "";
    expect(kept).not.toMatch(/canary|person|former|else|48151623|151|šárka|example|anary|Y2FuYXJ5/i);
  });
});

test("what was sent beside the row is blanked too", () => {
  const kept = answerText(
    "token s3cr3tvalue of /users/abcd1234",
    [row],
    ["Bearer s3cr3tvalue", "/users/abcd1234"],
    false,
  );
  expect(kept).not.toMatch(/s3cr3t|abcd/);
});

test("what is wrong stays readable", () => {
  const text = '{"error":{"code":"invalid_email","field":"email","message":"full_name must not be empty"}}';
  expect(answerText(text, [row], [], false)).toBe(text);
});

test("it is short, one line, and nothing when there is nothing", () => {
  expect(answerText("e ".repeat(5000), [row], [], false)?.length).toBe(200);
  expect(answerText("a\r\n\tb", [row], [], false)).toBe("a b");
  expect(answerText("  ", [row], [], false)).toBeUndefined();
  expect(answerText("x".repeat(1_000_000), [row], [], true)?.length).toBe(200);
});

test("as it is, only where that was asked for", () => {
  expect(answerText("bad canary.person@example.org", [row], [], true)).toBe("bad canary.person@example.org");
});

test("a value of megabytes, without a space in it, is no obstacle", () => {
  const large = delivery({ shape, values: ["1", "x".repeat(9_000_000), null, null, "secretly"] });
  expect(answerText("too large: xxxxxxxx of secretly", [large], [], false)).toBe("too large: ▒ of ▒");
});
