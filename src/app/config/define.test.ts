import { expect, test } from "vitest";
import { columns, columnsOf, defineConfig, type Row } from "./define.ts";

test("a configuration is typed: its keys, its modes, and the columns that a function reads", () => {
  const name = columns(["first_name", "last_name"], ({ first_name, last_name }) => `${first_name} ${last_name}`);
  const config = defineConfig({
    sources: { shop: { type: "postgres", url: "${SHOP_URL}" } },
    models: { users: { source: "shop", table: "public.users" } },
    destinations: { hook: { type: "webhook", url: "https://example.com/in" } },
    syncs: {
      all: { model: "users", destination: "hook", map: ["id"], where: "plan <> 'internal'" },
      some: {
        model: "users",
        destination: "hook",
        mode: "mirror",
        where: (row: Row) => row["plan"] !== "internal",
        map: { id: "id", name, kind: { value: "customer" }, ltv: { template: name, as: "number", null: "omit" } },
      },
      // @ts-expect-error -- there is no such mode
      wrong: { model: "users", destination: "hook", mode: "upsrt" },
      // @ts-expect-error -- a field is a text
      number: { model: "users", destination: "hook", map: { id: () => 1 } },
    },
  });
  // @ts-expect-error -- it does not say that it reads this
  columns(["first_name"], ({ last_name }) => last_name);
  expect(Object.keys(config.syncs)).toEqual(["all", "some", "wrong", "number"]);
  expect(columnsOf(name)).toEqual(["first_name", "last_name"]);
  expect(columnsOf(() => "")).toBeNull();
  expect(String(name)).toContain("last_name");
  expect(name({ first_name: "Ann", last_name: "Lee" })).toBe("Ann Lee");
});
