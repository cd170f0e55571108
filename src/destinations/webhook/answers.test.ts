import { describe, expect, test } from "vitest";
import type { HttpAnswer } from "../../kit/http/client.ts";
import { AnswerRules } from "./answers.ts";
import { webhookSettings } from "./settings.ts";

function rules(answers: Readonly<Record<string, unknown>> = {}, urlPerRow = false): AnswerRules {
  return new AnswerRules(webhookSettings.parse({ url: "https://h.example", answers }).answers, urlPerRow);
}

function answer(status: number, headers: Readonly<Record<string, string>> = {}, body = ""): HttpAnswer {
  return { status, headers, body, truncated: false };
}

function meaning(status: number, made = rules()): string {
  return made.judge(answer(status), "https://h.example")?.code ?? "delivered";
}

describe("without settings", () => {
  test.each([
    [200, "delivered"],
    [201, "delivered"],
    [202, "delivered"],
    [204, "delivered"],
    [207, "destination.config"],
    [299, "delivered"],
    [300, "destination.config"],
    [301, "destination.config"],
    [302, "destination.config"],
    [303, "destination.config"],
    [304, "destination.config"],
    [307, "destination.config"],
    [308, "destination.config"],
    [400, "destination.refused"],
    [401, "destination.auth"],
    [402, "destination.config"],
    [403, "destination.auth"],
    [404, "destination.config"],
    [405, "destination.config"],
    [407, "destination.config"],
    [408, "destination.unavailable"],
    [409, "destination.refused"],
    [410, "destination.config"],
    [413, "destination.too_large"],
    [415, "destination.config"],
    [418, "destination.config"],
    [422, "destination.refused"],
    [425, "destination.unavailable"],
    [429, "destination.throttled"],
    [500, "destination.unavailable"],
    [501, "destination.unavailable"],
    [503, "destination.unavailable"],
    [599, "destination.unavailable"],
    [600, "destination.config"],
  ])("%d means %s", (status, code) => {
    expect(meaning(status)).toBe(code);
  });
});

test("where the URL is made from the row, a 404 or 410 is the row's", () => {
  expect(meaning(404, rules({}, true))).toBe("destination.refused");
  expect(meaning(410, rules({}, true))).toBe("destination.refused");
  expect(meaning(405, rules({}, true))).toBe("destination.config");
});

test("a list replaces its default, and wins over the others'", () => {
  const made = rules({ delivered: [200, 409], rejected: ["410-412"], retry: [404, "5xx"] });
  expect([200, 201, 409, 411, 400, 404, 500, 429].map((status) => meaning(status, made))).toEqual([
    "delivered",
    "destination.config",
    "delivered",
    "destination.refused",
    "destination.config",
    "destination.unavailable",
    "destination.unavailable",
    "destination.config",
  ]);
  expect(meaning(207, rules({ delivered: ["2xx"] }))).toBe("delivered");
  expect(meaning(207, rules({ rows: { status: "s" } }))).toBe("delivered");
});

describe("Retry-After", () => {
  test.each([
    [429, "7", "destination.throttled", 7000],
    [429, "86400", "destination.throttled", 3_600_000],
    [429, "garbage", "destination.throttled", undefined],
    [429, undefined, "destination.throttled", undefined],
    [429, "Thu, 01 Jan 1970 00:00:00 GMT", "destination.throttled", 0],
    [503, "2", "destination.throttled", 2000],
    [503, undefined, "destination.unavailable", undefined],
    [503, "garbage", "destination.unavailable", undefined],
    [500, "3", "destination.unavailable", 3000],
  ])("%d with %s", (status, header, code, afterMs) => {
    const headers: Record<string, string> = header === undefined ? {} : { "retry-after": header };
    expect(rules().judge(answer(status, headers), "o")).toMatchObject({ code, afterMs });
  });

  test("as a date in the future", () => {
    const headers = { "retry-after": new Date(Date.now() + 60_000).toUTCString() };
    const afterMs = rules().judge(answer(429, headers), "o")?.afterMs ?? 0;
    expect(afterMs).toBeGreaterThan(50_000);
    expect(afterMs).toBeLessThanOrEqual(60_000);
  });
});

describe("redirects", () => {
  test("name the origin that they lead to, and never the path", () => {
    const error = rules().judge(answer(301, { location: "https://new.example/canary?canary" }), "https://h.example");
    expect(error?.message).toContain("redirect to https://new.example.");
    expect(error?.message).not.toContain("canary");
  });

  test("say nothing of it where the URL is made from the row", () => {
    const error = rules({}, true).judge(answer(301, { location: "https://canary.example/" }), "https://h.example");
    expect(error).toMatchObject({ code: "destination.config" });
    expect(error?.message).not.toContain("canary");
  });
});

describe("expect", () => {
  const json = rules({ expect: { content_type: "application/json" } });
  const ok = rules({ expect: { body_contains: '"ok"' } });

  test.each([
    ["application/json", true],
    ["Application/JSON; charset=utf-8", true],
    ["text/html", false],
    ["application/json-seq", false],
    [undefined, false],
  ])("a content type of %s", (type, taken) => {
    const headers: Record<string, string> = type === undefined ? {} : { "content-type": type };
    expect(json.judge(answer(200, headers), "o")?.code).toBe(taken ? undefined : "destination.unknown");
  });

  test("a text in the body", () => {
    expect(ok.judge(answer(200, {}, '{"status":"ok"}'), "o")).toBeNull();
    expect(ok.judge(answer(200, {}, "<html>Sign in</html>"), "o")).toMatchObject({ code: "destination.unknown" });
    expect(ok.judge(answer(204), "o")).toMatchObject({ code: "destination.unknown" });
    expect(ok.judge(answer(200, { "content-encoding": "gzip" }, '"ok"'), "o")).toMatchObject({
      code: "destination.unknown",
    });
  });

  test("does not touch other answers", () => {
    expect(json.judge(answer(500), "o")).toMatchObject({ code: "destination.unavailable" });
  });
});
