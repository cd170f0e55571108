import { describe, expect, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { people } from "../../../test/support/webhook.ts";
import { rowOutcomes } from "./row-results.ts";
import { webhookSettings } from "./settings.ts";

const batch = ["1", "2", "3"].map((id) => delivery({ shape: people, values: [id, `person-${id}`, "1", "true"] }));
const ids = batch.map(({ id }) => id);

function read(
  rows: Readonly<Record<string, unknown>>,
  body: unknown,
  more: { truncated?: boolean; headers?: Record<string, string> } = {},
) {
  const settings = webhookSettings.parse({ url: "https://h.example", answers: { rows } }).answers.rows;
  if (settings === undefined) throw new Error("no settings");
  const text = typeof body === "string" ? body : JSON.stringify(body);
  return rowOutcomes(
    settings,
    { status: 200, headers: more.headers ?? {}, body: text, truncated: more.truncated ?? false },
    batch,
    false,
  );
}

function statuses(rows: Readonly<Record<string, unknown>>, body: unknown): string[] {
  return read(rows, body).map(({ status }) => status);
}

const UNKNOWN = expect.objectContaining({ code: "destination.unknown" });

describe("by place", () => {
  const rows = { path: "results", status: "status" };

  test("one result a row, in order", () => {
    const body = { results: [{ status: 200 }, { status: 422 }, { status: 503 }] };
    expect(statuses(rows, body)).toEqual(["delivered", "rejected", "retry"]);
  });

  test("a bare list of statuses", () => {
    expect(statuses({ status: "status" }, ["ok", "bad", true])).toEqual(["delivered", "rejected", "delivered"]);
  });

  test.each([
    ["short", { results: [{ status: 200 }, { status: 200 }] }],
    ["long", { results: [200, 200, 200, 200].map((status) => ({ status })) }],
    ["empty", { results: [] }],
    ["no list", { errors: [] }],
    ["not a list", { results: "ok" }],
    ["null", null],
    ["a list's own property", { results: { length: 3 } }],
  ])("%s: all unknown", (_, body) => {
    expect(() => read(rows, body)).toThrow(UNKNOWN);
  });

  test.each(["", "ok", "<html>", '{"results":[{"status":200},{"sta'])("an answer of %j: all unknown", (body) => {
    expect(() => read(rows, body)).toThrow(UNKNOWN);
  });

  test("cut or compressed: all unknown", () => {
    const body = { results: [200, 200, 200].map((status) => ({ status })) };
    expect(() => read(rows, body, { truncated: true })).toThrow(UNKNOWN);
    expect(() => read(rows, body, { headers: { "content-encoding": "br" } })).toThrow(UNKNOWN);
  });

  test("a result without a status that can be read is sent again", () => {
    expect(statuses(rows, { results: [{}, { status: null }, { status: { code: 200 } }] })).toEqual([
      "retry",
      "retry",
      "retry",
    ]);
  });

  test("names that every object inherits are not results", () => {
    expect(() => read({ path: "constructor", status: "status" }, {})).toThrow(UNKNOWN);
    expect(statuses({ status: "toString" }, [{}, {}, {}])).toEqual(["retry", "retry", "retry"]);
  });
});

describe.each([
  ["index", [0, 1, 2]],
  ["id", ids],
])("by %s", (name, names) => {
  const rows = { path: "data.items", [name]: "ref", status: "status" };
  const results = (...list: readonly (readonly [ref: unknown, status: unknown])[]) => ({
    data: { items: list.map(([ref, status]) => ({ ref, status })) },
  });

  test("in any order", () => {
    expect(statuses(rows, results([names[2], 200], [names[0], 400], [names[1], 429]))).toEqual([
      "rejected",
      "retry",
      "delivered",
    ]);
  });

  test("short: the rows that are missing are sent again", () => {
    expect(statuses(rows, results([names[1], 200]))).toEqual(["retry", "delivered", "retry"]);
    expect(statuses(rows, results())).toEqual(["retry", "retry", "retry"]);
  });

  test.each([
    ["one twice", results([names[0], 200], [names[1], 200], [names[1], 200])],
    ["one too many", results([names[0], 200], [names[1], 200], [names[2], 200], [name === "index" ? 3 : "other", 200])],
    ["of another batch", results([name === "index" ? -1 : "other", 200])],
    ["without a name", { data: { items: [{ status: 200 }] } }],
    ["null", results([null, 200])],
    ["a fraction", results([0.5, 200])],
  ])("%s: all unknown", (_, body) => {
    expect(() => read(rows, body)).toThrow(UNKNOWN);
  });
});

test("an index as text", () => {
  expect(statuses({ index: "i", status: "s" }, [{ i: "1", s: "ok" }])).toEqual(["retry", "delivered", "retry"]);
});

describe("a receiver that lists failures only", () => {
  const rows = { path: "errors", index: "index", unlisted: "delivered", error: "message" };

  test("what it does not list is delivered", () => {
    expect(statuses(rows, { errors: [{ index: 1, message: "no" }] })).toEqual(["delivered", "rejected", "delivered"]);
    expect(statuses(rows, { errors: [] })).toEqual(["delivered", "delivered", "delivered"]);
  });

  test("but an answer without the list is unknown", () => {
    expect(() => read(rows, {})).toThrow(UNKNOWN);
    expect(() => read(rows, { errors: null })).toThrow(UNKNOWN);
  });
});

test("one's own words for ok and retry", () => {
  const rows = { status: "state", ok: ["STORED"], retry: ["LATER"] };
  expect(statuses(rows, [{ state: "STORED" }, { state: "LATER" }, { state: "ok" }])).toEqual([
    "delivered",
    "retry",
    "rejected",
  ]);
});

test("the reason is kept without the row's values", () => {
  const outcomes = read({ status: "s", error: "why" }, [
    { s: 422, why: "name PERSON-1 is taken by somebody" },
    { s: 422, why: { field: "total", code: "required" } },
    { s: 200 },
  ]);
  const answers = outcomes.map((outcome) => (outcome.status === "rejected" ? outcome.error.answer : null));
  expect(answers).toEqual(["name ▒-1 is taken by somebody", '{"field":"total","code":"required"}', null]);
  const [first] = outcomes;
  expect(first?.status === "rejected" && first.error.message).toBe("The receiver refused this row (422)");
});

test.each([{ index: "i", id: "j", status: "s" }, { unlisted: "delivered" }, { path: "x" }, { status: "s", other: 1 }])(
  "settings %j are refused",
  (rows) => {
    expect(webhookSettings.safeParse({ url: "https://h.example", answers: { rows } }).success).toBe(false);
  },
);
