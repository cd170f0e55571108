import { expect, test } from "vitest";
import { BodyBuffer } from "./body-buffer.ts";

test("joins texts of any size and script; a body that was taken does not change with the next one", () => {
  const body = new BodyBuffer();
  const texts = ["[", "a", "ä€😀".repeat(30_000), "", "\ud800", "x".repeat(6_000_000), "]"];
  for (const text of texts) body.add(text);
  const first = body.take();
  const expected = Buffer.from(texts.join(""));
  expect(first.equals(expected)).toBe(true);
  body.add("thrown away");
  body.clear();
  for (const text of ["next", "ñ"]) body.add(text);
  expect(body.take().toString()).toBe("nextñ");
  expect(first.equals(expected)).toBe(true);
});
