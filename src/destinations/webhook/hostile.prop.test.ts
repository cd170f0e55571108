import * as fc from "fast-check";
import { expect, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { people, target } from "../../../test/support/webhook.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { answerText } from "../../kit/answer-text.ts";
import { RequestPlan } from "./request-plan.ts";
import type { PlannedRequest } from "./request-plan.ts";
import { rowOutcomes } from "./row-results.ts";
import { webhookSettings } from "./settings.ts";

const row = (name: string) => delivery({ shape: people, values: ["1", name, null, "true"] });

function plan(settings: Readonly<Record<string, unknown>>): RequestPlan {
  return new RequestPlan(webhookSettings.parse(settings), {}, target());
}

/** Null when the row is rejected, which is the only other thing that may happen. */
function made(from: RequestPlan, name: string): PlannedRequest | null {
  try {
    return from.request(row(name));
  } catch (error) {
    if (error instanceof TailraceError && error.code === "delivery.mapping") {
      if (name.length > 3) expect(error.message).not.toContain(name);
      return null;
    }
    throw error;
  }
}

// Any text, and texts of what URLs and headers are made of.
const anyText = fc.oneof(
  fc.string({ unit: "binary", maxLength: 30 }),
  fc.string({ unit: fc.constantFrom(..."./\\@:?#%[]\r\n\t \0e2d0aA{}&;=é".split("")), maxLength: 12 }),
);

test("a value in the path stays in its part of the path", () => {
  const from = plan({ url: "https://h.example/users/{{ record.name }}/notes?x=1" });
  fc.assert(
    fc.property(anyText, (name) => {
      const request = made(from, name);
      if (request === null) {
        expect(["", ".", ".."]).toContain(name);
        return;
      }
      expect(request.origin).toBe("https://h.example");
      expect(request.path).toMatch(/^\/users\/[^/?#\s]+\/notes\?x=1$/);
      expect(decodeURIComponent(request.path.split("/")[2] ?? "")).toBe(name.toWellFormed());
    }),
    { numRuns: 1000 },
  );
});

test("a value in the query stays in its part of the query", () => {
  const from = plan({ url: "https://h.example/in?a={{ record.name }}&b=2" });
  fc.assert(
    fc.property(anyText, (name) => {
      const request = made(from, name);
      if (request === null) {
        expect(name).toBe("");
        return;
      }
      const query = new URLSearchParams(request.path.slice("/in".length));
      expect([...query]).toEqual([
        ["a", name.toWellFormed()],
        ["b", "2"],
      ]);
    }),
    { numRuns: 1000 },
  );
});

test("a value in the host never leaves the domain that stands behind it", () => {
  const from = plan({ url: "https://{{ record.name }}.tenants.example/in" });
  fc.assert(
    fc.property(anyText, (name) => {
      const request = made(from, name);
      if (request === null) return;
      expect(new URL(request.origin).hostname.endsWith(".tenants.example")).toBe(true);
      expect(request.path).toBe("/in");
      expect(request.headers).toEqual({});
    }),
    { numRuns: 1000 },
  );
});

test("a value in a header is one line, or the row is rejected", () => {
  const from = plan({ url: "https://h.example/", headers: { "x-name": "n={{ record.name }}" } });
  fc.assert(
    fc.property(anyText, (name) => {
      const value = made(from, name)?.headers["x-name"];
      if (value === undefined) expect(name).toMatch(/[^\t\x20-\x7e\x80-\xff]/);
      else expect(value).toBe(`n=${name}`);
    }),
    { numRuns: 1000 },
  );
});

test("whatever a receiver answers, only a row that it names as taken is delivered", () => {
  const settings = webhookSettings.parse({
    url: "https://h.example",
    answers: { rows: { path: "results", index: "index", status: "status" } },
  }).answers.rows;
  if (settings === undefined) throw new Error("no settings");
  const batch = ["a", "b", "c"].map(row);
  const result = fc.record(
    {
      index: fc.oneof(fc.integer({ min: -1, max: 4 }), fc.jsonValue()),
      status: fc.oneof(fc.constantFrom(200, 422, 503, "ok"), fc.jsonValue()),
    },
    { requiredKeys: [] },
  );
  const answer = fc.oneof(fc.record({ results: fc.array(result, { maxLength: 5 }) }), fc.jsonValue());
  fc.assert(
    fc.property(answer, (value) => {
      const body = JSON.stringify(value);
      let outcomes;
      try {
        outcomes = rowOutcomes(settings, { status: 200, headers: {}, body, truncated: false }, batch, false);
      } catch (error) {
        expect(error).toMatchObject({ code: "destination.unknown" });
        return;
      }
      expect(outcomes).toHaveLength(batch.length);
      const { results } = value as { results: readonly { index: unknown; status: unknown }[] };
      for (const [place, outcome] of outcomes.entries()) {
        const named = results.filter(({ index }) => String(index) === String(place));
        const taken = named.length === 1 && settings.ok.map(String).includes(String(named[0]?.status));
        expect(outcome.status === "delivered").toBe(taken);
      }
    }),
    { numRuns: 2000 },
  );
});

test("no word of a row comes back in what is kept of an answer", () => {
  const word = fc.string({ unit: fc.constantFrom(..."qxzjkwéß0192".split("")), minLength: 4, maxLength: 20 });
  const plain = (text: string) => text.normalize("NFD").replaceAll(/\p{M}/gu, "").toUpperCase();
  const echo = fc.constantFrom<(text: string) => string>(
    (text) => text,
    (text) => text.toUpperCase(),
    (text) => text.normalize("NFD"),
    (text) => plain(text),
    (text) => JSON.stringify({ error: text }),
    (text) => `"${text.slice(0, -1)}…"`,
    (text) => `pre${text}post`,
    (text) => encodeURIComponent(text),
  );
  fc.assert(
    fc.property(word, word, echo, (first, second, how) => {
      const kept = plain(answerText(how(`${first} ${second}`), [row(`${first}-${second}`)], [], false) ?? "");
      for (const text of [first, second]) expect(kept).not.toContain(plain(text).slice(0, 4));
    }),
    { numRuns: 1000 },
  );
});
