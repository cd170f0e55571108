import { expect, test } from "vitest";
import type { DeadLetter } from "../../contracts/state.ts";
import { plainLetter, renderDropped, renderFailures, renderLetters } from "./failures.ts";
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

test("what was dropped, by whom and why, and what is forgotten", () => {
  const { payload: _, ...rest } = letter;
  const record = { ...rest, droppedBy: "ada@host", why: "a test account", droppedAtMs: Date.UTC(2026, 10, 25) };
  const page = { limit: 2, offset: 0 };
  expect(renderDropped("carts", { total: 9, records: [record] }, page, painter(false))).toMatchInlineSnapshot(`
    "9 dropped failures of carts

    DROPPED                  BY        WHY             ID            KEY   REASON
    2026-11-25 00:00:00 UTC  ada@host  a test account  carts-00a1-0  7, b  The receiver answered 422 (destination.refused)

    The records of the 8 before are not kept any more.
    "
  `);
  expect(renderDropped("carts", { total: 9, records: [record, record] }, page, painter(false))).toContain(
    "1–2 of 9; --offset 2 for the next",
  );
  expect(renderDropped("carts", { total: 0, records: [] }, page, painter(false))).toBe(
    "carts has dropped no failures.\n",
  );
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
