import { expect, test } from "vitest";
import type { Config } from "../app/config/config.ts";
import { syncWith } from "../../test/support/syncs.ts";
import { chosenSyncs, oneSync, subcommand, wholeNumber } from "./arguments.ts";
import { UsageError } from "./command.ts";

const config = { syncs: [syncWith({ name: "users" }), syncWith({ name: "orders" })] } as unknown as Config;

test("the syncs that are named, in the configuration's order; all without names", () => {
  expect(chosenSyncs(config, ["orders", "users", "orders"])).toEqual(config.syncs);
  expect(chosenSyncs(config, ["orders"]).map(({ name }) => name)).toEqual(["orders"]);
  expect(chosenSyncs(config, [])).toBe(config.syncs);
  expect(() => chosenSyncs(config, ["usrs"])).toThrow("There is no sync `usrs`; did you mean `users`?");
});

test("exactly one sync", () => {
  expect(oneSync(config, ["users"]).name).toBe("users");
  expect(() => oneSync(config, [])).toThrow("Which sync? There are `users` and `orders`.");
  expect(() => oneSync(config, ["users", "orders"])).toThrow("`orders` was not expected here.");
});

test("words in the place of a subcommand", () => {
  expect(subcommand(undefined, ["list", "prune"], "list")).toBe("list");
  expect(subcommand("prune", ["list", "prune"], "list")).toBe("prune");
  expect(() => subcommand(undefined, ["list", "show"], null)).toThrow("Say what to do: `list` or `show`.");
  expect(() => subcommand("prun", ["list", "prune"], "list")).toThrow("did you mean `prune`?");
});

test.each(["-1", "1.5", "1e3", "", "x", "99999999999999999999"])("%j is not a whole number", (limit) => {
  expect(() => wholeNumber({ limit }, "limit", 20)).toThrow(UsageError);
});

test("whole numbers", () => {
  expect([wholeNumber({}, "limit", 20), wholeNumber({ limit: "0" }, "limit", 20)]).toEqual([20, 0]);
  expect(() => wholeNumber({ limit: "0" }, "limit", 20, 1)).toThrow("from 1");
});
