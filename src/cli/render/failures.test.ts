import { expect, test } from "vitest";
import type { DeadLetter } from "../../contracts/state.ts";
import { plainLetter, renderFailures, renderLetters } from "./failures.ts";
import { painter } from "./paint.ts";

const letter: DeadLetter = {
  id: "carts-00a1-0",
  key: ["7", "b"],
  op: "event",
  position: "00a1-0",
  code: "destination.refused",
  message: "The receiver answered 422",
  answer: '{"error":"▒"}',
  attempts: 3,
  failedAtMs: Date.UTC(2026, 10, 24, 7, 52, 17),
  payload: '{"event":"insert","before":null,"after":[["email","a@example.com"]]}',
};
const group = { code: letter.code, message: letter.message, count: 41 };

test("the reasons, then the letters, then how to see more", () => {
  const page = { sync: "carts", total: 41, groups: [group], failures: [letter], offset: 20 };
  expect(renderFailures(page, painter(false))).toMatchInlineSnapshot(`
    "41 failures of carts

    COUNT  CODE                 REASON
       41  destination.refused  The receiver answered 422

    ID            KEY   OP     CODE                 ATTEMPTS  AT
    carts-00a1-0  7, b  event  destination.refused         3  2026-11-24 07:52:17 UTC

    21–21 of 41; --offset 21 for the next
    "
  `);
  expect(renderFailures({ ...page, total: 0 }, painter(false))).toBe("carts has no failures.\n");
});

test("what a row held is shown only where it was asked for", () => {
  const hidden = renderLetters([letter], false, painter(false));
  expect(hidden).toMatchInlineSnapshot(`
    "carts-00a1-0
      key       7, b
      op        event
      reason    The receiver answered 422 (destination.refused)
      answer    {"error":"▒"}
      attempts  3
      at        2026-11-24 07:52:17 UTC
      values    kept; --values shows them
    "
  `);
  expect(JSON.stringify(plainLetter(letter, false)) + hidden).not.toContain("a@example.com");
  expect(renderLetters([letter], true, painter(false))).toContain("a@example.com");
  expect(plainLetter(letter, true)).toMatchObject({ payload: letter.payload, failedAt: "2026-11-24T07:52:17.000Z" });
});

test("a key or an answer cannot take over the terminal", () => {
  const evil = { ...letter, key: ["\u001B[2J\u0007x"], answer: "a\u009B31mb\nc" };
  const text = renderLetters([evil], false, painter(false));
  expect(text).toContain("key       \\u001b[2J\\u0007x");
  expect(text).toContain("answer    a\\u009b31mb\n            c");
});
