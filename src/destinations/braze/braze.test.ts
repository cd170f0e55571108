// What is Braze's own; what every vendor's destination must do is in test/conformance/vendors/braze.test.ts.
import { expect, onTestFinished, test } from "vitest";
import { neverAborted } from "../../../test/conformance/running.ts";
import { BrazeMock } from "../../../test/mocks/braze/braze.ts";
import { faultsInTurn } from "../../../test/mocks/support/faults.ts";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { VendorRun, type VendorRunOptions } from "../../../test/support/vendor-lane.ts";
import type { Target } from "../../contracts/destination.ts";
import { UNCHANGED } from "../../contracts/values.ts";
import braze from "./index.ts";
import { originOf, settings } from "./settings.ts";

const settingsOf = (mock: BrazeMock) => ({
  instance: "us-01",
  key: "k",
  base_url: mock.server.url,
  allow_private: true,
});

async function mockBraze(): Promise<BrazeMock> {
  const mock = await BrazeMock.start("k", { products: { id: "string", name: "string", price: "number" } });
  onTestFinished(() => mock[Symbol.asyncDispose]());
  return mock;
}

async function run(mock: BrazeMock, options: Partial<VendorRunOptions> = {}): Promise<VendorRun> {
  const opened = await VendorRun.open({
    connector: braze,
    settings: settingsOf(mock),
    object: "users",
    mode: "mirror",
    onDelete: { kind: "delete" },
    columns: { external_id: "text", plan: "text" },
    ...options,
  });
  onTestFinished(() => opened[Symbol.asyncDispose]());
  return opened;
}

const bodies = (mock: BrazeMock, url: string): unknown[] =>
  mock.server.requests.filter((request) => request.url === url).map(({ body }) => JSON.parse(body) as unknown);

test.each([
  ["us-06", "https://rest.iad-06.braze.com"],
  ["eu-02", "https://rest.fra-02.braze.eu"],
])("the API of %s is at %s", (instance, origin) => {
  expect(originOf(settings.parse({ instance, key: "k" }))).toBe(origin);
});

test("75 users are one request, and 50 that are gone", async () => {
  const mock = await mockBraze();
  const users = await run(mock);
  const rows = Array.from({ length: 150 }, (_, n) => ({ external_id: `u${n}`, plan: "pro" }));
  for (const row of rows) users.put(row);
  await users.finished();
  for (const row of rows.slice(0, 50)) users.gone(row);
  await users.finished();
  expect([bodies(mock, "/users/track").length, bodies(mock, "/users/delete").length]).toEqual([2, 1]);
  expect(mock.users.all()).toHaveLength(100);
});

test("each row that is refused is told why, and the others are taken", async () => {
  const mock = await mockBraze();
  const events = await run(mock, {
    object: "purchases",
    mode: "event",
    onDelete: { kind: "ignore" },
    columns: {
      external_id: "text",
      product_id: "text",
      currency: "text",
      price: "numeric",
      time: "timestamp with time zone",
      size: "text",
    },
  });
  expect(await events.destination.check([events.target], neverAborted())).toEqual([]);
  const row = { product_id: "p", currency: "EUR", price: "12.50", time: "2026-01-02 03:04:05+00", size: "M" };
  events.put({ ...row, external_id: "1" });
  events.put({ ...row, external_id: "2", currency: null });
  events.put({ ...row, external_id: "3" });
  await events.finished();
  expect(bodies(mock, "/users/track")).toHaveLength(2);
  expect(events.rejected.map(({ key, error }) => [key, error.message, error.answer])).toEqual([
    ["2", "Braze refused this row", "'currency' is required"],
  ]);
  expect(mock.purchases.map(({ external_id, properties }) => [external_id, properties])).toEqual([
    ["1", { size: "M" }],
    ["3", { size: "M" }],
  ]);
});

test("two errors of one row are not taken for two rows", async () => {
  const mock = await mockBraze();
  const error = { type: "bad", input_array: "attributes", index: 0 };
  mock.server.fail(
    faultsInTurn([{ status: 201, body: { message: "success", attributes_processed: 1, errors: [error, error] } }]),
  );
  const users = await run(mock);
  for (const n of [1, 2, 3]) users.put({ external_id: `u${n}`, plan: "pro" });
  await users.finished();
  expect([users.delivered, users.rejected.map(({ key }) => key)]).toEqual([2, ["u1"]]);
  // The two of which one was not taken are sent again.
  expect(bodies(mock, "/users/track")).toHaveLength(2);
});

test("a user who has gone is found by the address that was matched by", async () => {
  const mock = await mockBraze();
  const users = await run(mock, { columns: { email: "text", phone: "text" } });
  users.put({ email: "a@example.com", phone: "+49" });
  users.put({ email: "b@example.com", phone: null });
  await users.finished();
  users.gone({ email: "a@example.com", phone: "+49" });
  await users.finished();
  expect(bodies(mock, "/users/delete")).toEqual([
    { email_addresses: [{ email: "a@example.com", prioritization: ["most_recently_updated"] }] },
  ]);
  expect(mock.users.all().map(({ email }) => email)).toEqual(["b@example.com"]);
});

test("an alias has two parts; users are made and deleted by both", async () => {
  const mock = await mockBraze();
  await using destination = braze.create(braze.settings.parse(settingsOf(mock)), {
    name: "b",
    log: {} as never,
    baseDirectory: "/",
  });
  const shape = shapeOf({ alias_label: "text", alias_name: "text", plan: "text" });
  const target: Target = {
    sync: "s",
    object: "users",
    mode: "mirror",
    onDelete: { kind: "delete" },
    match: ["alias_label", "alias_name"],
    shape,
    options: {},
  };
  expect(await destination.check([target], neverAborted())).toEqual([]);
  const half = await destination.check([{ ...target, match: ["alias_name"] }], neverAborted());
  expect(half.map(({ code }) => code)).toEqual(["destination.config"]);
  const writer = await destination.open(target, neverAborted());
  const rows = ["1", "2"].map((name) =>
    delivery({ shape, values: ["crm", name, null], matchFields: target.match, op: "upsert" }),
  );
  expect(await writer.write(rows, neverAborted())).toEqual(rows.map(() => ({ status: "delivered" })));
  expect(bodies(mock, "/users/track").at(-1)).toEqual({
    attributes: ["1", "2"].map((alias_name) => ({
      user_alias: { alias_name, alias_label: "crm" },
      plan: null,
      _update_existing_only: false,
    })),
  });
  await writer.write([{ ...rows[0]!, op: "delete" }], neverAborted());
  expect(mock.users.all().map(({ alias_name }) => alias_name)).toEqual(["2"]);
});

test("a row of which only a part was sent edits the item; a whole one replaces it", async () => {
  const mock = await mockBraze();
  const items = await run(mock, {
    object: "catalogs/products",
    columns: { id: "text", name: "text", price: "numeric" },
  });
  items.put({ id: "1", name: "one", price: "1.50" });
  items.put({ id: "2", name: "two", price: "2.50" });
  await items.finished();
  items.put({ id: "1", name: UNCHANGED, price: "1.75" });
  items.put({ id: "2", name: "two", price: null });
  await items.finished();
  expect(mock.server.requests.map(({ method }) => method)).toEqual(["PUT", "PUT", "PATCH"]);
  expect(mock.items("products").get("1")).toMatchObject({ name: "one", price: { text: "1.75" } });
  expect(mock.items("products").get("2")).toMatchObject({ name: "two", price: null });
});

test("a catalog or a field that is not there is found by check, and stops the sync", async () => {
  const mock = await mockBraze();
  const nowhere = await run(mock, { object: "catalogs/nothing", columns: { id: "text" } });
  const findings = await nowhere.destination.check([nowhere.target], neverAborted());
  expect(findings.map(({ message }) => message)).toEqual(["Braze has no catalog `nothing`"]);
  const items = await run(mock, { object: "catalogs/products", columns: { id: "text", nmae: "text" } });
  const wrong = await items.destination.check([items.target], neverAborted());
  expect(wrong.map(({ message }) => message).join()).toContain("did you mean `name`");
  items.put({ id: "1", nmae: "x" });
  await items.finished();
  expect(items.stops.map(({ message }) => message)).toEqual(["Braze answered 400: invalid-fields"]);
});
