import { describe, expect, test } from "vitest";
import { delivery } from "../../../test/support/deliveries.ts";
import { startReceiver } from "../../../test/support/receiver.ts";
import type { Receiver, ReceiverOptions } from "../../../test/support/receiver.ts";
import { inTurn, OK, status } from "../../../test/support/receiver-script.ts";
import { openWebhook, people } from "../../../test/support/webhook.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import { TailraceError } from "../../contracts/errors.ts";

const signal = new AbortController().signal;
const row = (id: string, name: string | null = `canary-${id}`) =>
  delivery({ shape: people, values: [id, name, "12.50", "true"] });
const rows = (count: number) => Array.from({ length: count }, (_, place) => row(String(place)));

function receiver(script?: ReceiverOptions["script"]): Promise<Receiver> {
  return startReceiver({ script, rows: () => [] });
}

async function failure(work: Promise<unknown>): Promise<TailraceError> {
  const error: unknown = await work.then(
    () => null,
    (caught: unknown) => caught,
  );
  if (!(error instanceof TailraceError)) throw new Error("not a TailraceError", { cause: error });
  return error;
}

describe("bodies", () => {
  const batch = [row("1"), delivery({ shape: people, op: "delete", values: ["2", UNCHANGED, UNCHANGED, UNCHANGED] })];

  test("one envelope", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: `${server.url}/in?x=1` });
    expect(await writer.write(batch.slice(0, 1), signal)).toEqual([{ status: "delivered" }]);
    const [request] = server.requests();
    expect(request).toMatchObject({ method: "POST", path: "/in?x=1" });
    expect(request?.headers).toMatchObject({
      "content-type": "application/json",
      "tailrace-op": "upsert",
      "accept-encoding": "identity",
    });
    expect(request?.body).toContain('"key":{"id":1}');
    expect(request?.body).toContain('"record":{"id":1,"name":"canary-1","total":12.50,"active":true}}');
  });

  test("an array, and a line each: the same objects", async () => {
    await using server = await receiver();
    for (const format of ["array", "ndjson"]) {
      const writer = await openWebhook({ url: server.url, batch: { format } });
      expect(await writer.write(batch, signal)).toEqual([{ status: "delivered" }, { status: "delivered" }]);
    }
    const [array, lines] = server.requests();
    expect(array?.headers).toMatchObject({ "content-type": "application/json", "tailrace-rows": "2" });
    expect(lines?.headers).toMatchObject({ "content-type": "application/x-ndjson", "tailrace-rows": "2" });
    expect(lines?.body?.endsWith("}\n")).toBe(true);
    const objects = (lines?.body ?? "").trimEnd().split("\n");
    expect(`[${objects.join(",")}]`).toBe(array?.body);
    expect(JSON.parse(objects[1] ?? "")).toMatchObject({ type: "delete", key: { id: 2 }, record: { id: 2 } });
  });

  test("the record alone", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: server.url, payload: "record" });
    await writer.write([row("9007199254740993")], signal);
    expect(server.requests()[0]?.body).toBe(
      '{"id":9007199254740993,"name":"canary-9007199254740993","total":12.50,"active":true}',
    );
  });

  test("a GET has none", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: server.url, method: "GET" });
    await writer.write([row("1")], signal);
    expect(server.requests()[0]).toMatchObject({ method: "GET", body: "" });
  });

  test("a batch of records in which a delete could not be told apart is refused", async () => {
    const settings = { url: "http://127.0.0.1:9", payload: "record", batch: { format: "array" } };
    await expect(openWebhook(settings, { mode: "mirror" })).rejects.toMatchObject({ code: "destination.config" });
    await expect(openWebhook(settings, { mode: "mirror", onDelete: { kind: "ignore" } })).resolves.toBeDefined();
    await expect(openWebhook({ ...settings, payload: "envelope" }, { mode: "mirror" })).resolves.toBeDefined();
  });
});

describe("answers", () => {
  test.each([400, 409, 413, 422])("%d to one row rejects it, and keeps none of its values", async (code) => {
    await using server = await receiver(() => status(code, { "content-type": "text/plain" }, "name canary-1 is bad"));
    const [outcome] = await (await openWebhook({ url: server.url })).write([row("1")], signal);
    if (outcome?.status !== "rejected") throw new Error("not rejected");
    expect(outcome.error.code).toBe(code === 413 ? "destination.too_large" : "destination.refused");
    expect(outcome.error.message).toBe(`The receiver answered ${code}`);
    expect(outcome.error.answer).toBe("name ▒-1 is bad");
    const kept = await (await openWebhook({ url: server.url, keep_answers: true })).write([row("1")], signal);
    expect(kept).toMatchObject([{ status: "rejected", error: { answer: "name canary-1 is bad" } }]);
  });

  test.each([400, 413, 422])("%d to several rows is thrown, so that the batch is halved", async (code) => {
    await using server = await receiver(() => status(code, {}, "canary-1"));
    const writer = await openWebhook({ url: server.url, batch: { format: "array" } });
    const error = await failure(writer.write(rows(3), signal));
    expect(error.consequence).toBe("row-permanent");
    expect(JSON.stringify([error.message, error.answer])).not.toContain("canary");
    expect(await writer.write(rows(1), signal)).toMatchObject([{ status: "rejected" }]);
  });

  test.each([
    [401, "auth"],
    [404, "config"],
    [302, "config"],
    [207, "config"],
    [500, "transient"],
    [429, "throttled"],
  ])("%d is thrown: %s", async (code, consequence) => {
    await using server = await receiver(() => status(code, code === 429 ? { "retry-after": "7" } : {}, "canary-1"));
    const error = await failure((await openWebhook({ url: server.url })).write([row("1")], signal));
    expect(error.consequence).toBe(consequence);
    expect(error.afterMs).toBe(code === 429 ? 7000 : undefined);
    expect(JSON.stringify([error.message, error.answer])).not.toContain("canary");
    expect(server.counts.requests).toBe(1);
  });

  test.each(["reset-after", "truncated", "huge-headers"] as const)(
    "%s: unknown, with the same bytes the next time",
    async (kind) => {
      await using server = await receiver(inTurn([{ kind }]));
      const writer = await openWebhook({ url: server.url });
      const one = row("1");
      expect((await failure(writer.write([one], signal))).code).toBe("destination.unknown");
      expect(await writer.write([{ ...one, attempt: 2 }], signal)).toEqual([{ status: "delivered" }]);
      const [first, second] = server.requests();
      expect(second?.body).toBe(first?.body);
      expect(second?.headers["webhook-id"]).toBe(one.id);
    },
  );

  test("an endless answer is judged by its status, unless the body matters", async () => {
    await using server = await receiver(() => ({ kind: "endless" }));
    expect(await (await openWebhook({ url: server.url })).write([row("1")], signal)).toEqual([{ status: "delivered" }]);
    const expecting = await openWebhook({ url: server.url, answers: { expect: { body_contains: "stored" } } });
    expect((await failure(expecting.write([row("1")], signal))).code).toBe("destination.unknown");
    const reading = await openWebhook({
      url: server.url,
      batch: { format: "array" },
      answers: { rows: { status: "s" } },
    });
    expect((await failure(reading.write(rows(2), signal))).code).toBe("destination.unknown");
  });

  test("a page of a proxy is not a success", async () => {
    await using server = await receiver(() => status(200, { "content-type": "text/html" }, "<html>"));
    const writer = await openWebhook({ url: server.url, answers: { expect: { content_type: "application/json" } } });
    expect((await failure(writer.write([row("1")], signal))).code).toBe("destination.unknown");
  });

  test("results row by row", async () => {
    const batch = rows(3);
    await using server = await receiver(({ body }) => {
      const ids = (JSON.parse(body) as { id: string }[]).map(({ id }) => id);
      const results = [
        { id: ids[2], status: 429 },
        { id: ids[0], status: 201 },
        { id: ids[1], status: 422, error: "name CANARY-1" },
      ];
      return status(207, {}, JSON.stringify({ results }));
    });
    const answers = { rows: { path: "results", id: "id", status: "status", error: "error" } };
    const writer = await openWebhook({ url: server.url, batch: { format: "array" }, answers });
    const outcomes = await writer.write(batch, signal);
    expect(outcomes).toMatchObject([
      { status: "delivered" },
      { status: "rejected", error: { answer: "name ▒-1" } },
      { status: "retry" },
    ]);
  });

  test("the address guard is on by default", async () => {
    await using server = await receiver();
    const error = await failure(
      (await openWebhook({ url: server.url, allow_private: false })).write([row("1")], signal),
    );
    expect(error.code).toBe("destination.blocked_address");
    expect(server.counts.requests).toBe(0);
  });
});

describe("single rows that come together", () => {
  test("are sent one by one; after a failure none that was delivered is sent again", async () => {
    await using server = await receiver(inTurn([OK, status(422), OK, status(503)]));
    const writer = await openWebhook({ url: server.url });
    const outcomes = await writer.write(rows(6), signal);
    expect(outcomes.map((outcome) => outcome.status)).toEqual([
      "delivered",
      "rejected",
      "delivered",
      "retry",
      "retry",
      "retry",
    ]);
    expect(server.counts.requests).toBe(4);
  });
});

describe("made from the row", () => {
  test("URL, method and headers", async () => {
    await using server = await receiver();
    const writer = await openWebhook(
      {
        url: `${server.url}/{{ sync }}/{{ record.id }}?n={{ record.name | upcase }}`,
        method: "{% if op == 'delete' %}DELETE{% else %}put{% endif %}",
        headers: {
          "X-Name": "{{ record.name }}",
          "X-Fixed": "one",
          "X-Active": "{% if record.active %}yes{% else %}no{% endif %}",
        },
      },
      { options: { headers: { "x-fixed": "two" } } },
    );
    await writer.write([row("1", "a b/ü?&#%")], signal);
    expect(server.requests()[0]).toMatchObject({ method: "PUT", path: "/people/1?n=A%20B%2F%C3%9C%3F%26%23%25" });
    expect(server.requests()[0]?.headers).toMatchObject({ "x-fixed": "two", "x-active": "yes" });
    await writer.write([delivery({ shape: people, op: "delete", values: ["2", "x", null, "false"] })], signal);
    expect(server.requests()[1]).toMatchObject({ method: "DELETE", path: "/people/2?n=X" });
    expect(server.requests()[1]?.headers).toMatchObject({ "x-active": "no" });
  });

  test("a sync's own path", async () => {
    await using server = await receiver();
    const writer = await openWebhook(
      { url: `${server.url}/api/` },
      { options: { path: "/users/{{ key[0] }}", method: "PATCH", payload: "record" } },
    );
    await writer.write([row("7")], signal);
    expect(server.requests()[0]).toMatchObject({ method: "PATCH", path: "/api/users/7" });
  });

  const HOSTILE = [
    "..",
    ".",
    "../../admin",
    "a\r\nx-injected: 1",
    "a\nb",
    "\u0000",
    "@evil.example/",
    "?a=b#c",
    "%2e%2e",
    "%0d%0a",
    "\\..\\",
    "//evil.example",
    "\ud800",
    "",
    "x".repeat(5000),
    "{{ 7 | times: 7 }}",
  ];

  test.each(HOSTILE)("a hostile value stays in its place: %j", async (value) => {
    await using server = await receiver();
    const writer = await openWebhook({ url: `${server.url}/users/{{ record.name }}/notes` });
    const [outcome] = await writer.write([row("1", value)], signal);
    if (outcome?.status === "rejected") {
      expect(["..", ".", ""]).toContain(value);
      expect(outcome.error.code).toBe("delivery.mapping");
      expect(server.counts.requests).toBe(0);
      return;
    }
    expect(["..", ".", ""]).not.toContain(value);
    const path = server.requests()[0]?.path ?? "";
    expect(path.split("/")).toHaveLength(4);
    expect(path).toBe(`/users/${encodeURIComponent(value.toWellFormed())}/notes`);
    expect(server.requests()[0]?.headers["x-injected"]).toBeUndefined();
  });

  test("a null in the URL rejects the row: it would be another resource", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: `${server.url}/users/{{ record.name }}`, method: "DELETE" });
    const outcomes = await writer.write([row("1", null)], signal);
    expect(outcomes).toMatchObject([{ status: "rejected", error: { code: "delivery.mapping" } }]);
    expect(server.counts.requests).toBe(0);
  });

  test.each(["a\r\nx-injected: 1", "a\nb", "a\rb", "\u0000", "\u{1F600}", "\u007f"])(
    "a header cannot be broken: %j",
    async (value) => {
      await using server = await receiver();
      const writer = await openWebhook({ url: server.url, headers: { "x-name": "n={{ record.name }}" } });
      const [outcome] = await writer.write([row("1", value)], signal);
      if (outcome?.status !== "rejected") throw new Error("not rejected");
      expect(outcome.error.code).toBe("delivery.mapping");
      expect(outcome.error.message).toContain("headers.x-name");
      expect(server.counts.requests).toBe(0);
      await writer.write([row("1", "Zoë")], signal);
      expect(server.requests()[0]?.headers["x-name"]).toBe("n=Zoë");
    },
  );

  test("a method that is none rejects the row", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: server.url, method: "{{ record.name }}" });
    for (const method of ["CONNECT", "PO ST", "", "GET / HTTP/1.1\r\n"]) {
      expect(await writer.write([row("1", method)], signal)).toMatchObject([{ status: "rejected" }]);
    }
    expect(server.counts.requests).toBe(0);
  });

  test("a host from the row: what is wrong with it is the row's, and the host is in no message", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: "{{ record.name | raw }}", allow_private: [new URL(server.url).host] });
    const write = async (name: string) => (await writer.write([row("1", name)], signal))[0];
    expect(await write(`${server.url}/ok`)).toEqual({ status: "delivered" });
    for (const url of [
      "http://127.0.0.1:9/canary",
      "http://[::1]/",
      "http://0x7f.1/canary",
      "file:///etc/passwd",
      "canary",
      "http://canary@@:99999/",
    ]) {
      const outcome = await write(url);
      if (outcome?.status !== "rejected") throw new Error(`not rejected: ${url}`);
      expect(outcome.error.message).not.toContain("canary");
    }
    expect(server.counts.requests).toBe(1);
  });
});

describe("templates that cannot be", () => {
  test.each([
    [{ url: "http://h.example/{{ record.nmae }}" }, "no field `nmae`"],
    [{ url: "http://h.example/{{ user.id }}" }, "no `user`"],
    [{ url: "http://h.example/{{ record.id " }, "`url`"],
    [{ url: "http://h.example/{{ record.id | nofilter }}" }, "nofilter"],
    [{ url: "http://h.example/{% include 'x' %}" }, "include"],
    [{ url: "http://h.example/{{ record.id }}", batch: { format: "array" } }, "batch"],
    [{ url: "http://h.example/", headers: { x: "{{ record.id }}" }, batch: { format: "ndjson" } }, "`headers.x`"],
    [{ url: "{{ sync }}" }, "not an http(s) URL"],
    [{ url: "http://h.example/a/../b" }, "`..`"],
    [{ url: "http://h.example/", method: "TRACE" }, "`method`"],
  ])("%j", async (settings, message) => {
    const error = await failure(openWebhook(settings));
    expect(error.code).toBe("destination.config");
    expect(error.message).toContain(message);
  });

  test("a batch may use what is the same for every row", async () => {
    await using server = await receiver();
    const writer = await openWebhook({ url: `${server.url}/{{ sync }}/{{ mode }}`, batch: { format: "array" } });
    await writer.write(rows(2), signal);
    expect(server.requests()[0]?.path).toBe("/people/upsert");
  });
});

test("credentials in the URL become a header", async () => {
  await using server = await receiver();
  const writer = await openWebhook({ url: server.url.replace("//", "//us%40er:p%3Aw@") });
  await writer.write([row("1")], signal);
  expect(server.requests()[0]?.headers["authorization"]).toBe(`Basic ${Buffer.from("us@er:p:w").toString("base64")}`);
});
