import { expect, it } from "vitest";
import { BigQueryServer } from "../../../test/fakes/bigquery/server.ts";
import { bigquerySource, changesAfter, NEVER, scanned, tableModel } from "../../../test/support/bigquery-source.ts";

/** Type, what is written, and the text that arrives. */
const VALUES: readonly (readonly [string, string, string])[] = [
  ["INT64", "-9223372036854775808", "-9223372036854775808"],
  ["NUMERIC", "99999999999999999999999999999.123456789", "99999999999999999999999999999.123456789"],
  ["NUMERIC", "10.500", "10.5"],
  [
    "BIGNUMERIC",
    "578960446186580977117854925043439539266.34992332820282019728792003956564819967",
    "578960446186580977117854925043439539266.34992332820282019728792003956564819967",
  ],
  ["FLOAT64", "0.1", "0.1"],
  ["FLOAT64", "3", "3.0"],
  ["BOOL", "true", "true"],
  ["STRING", "žluť 😀 'quoted' \\ \n", "žluť 😀 'quoted' \\ \n"],
  ["STRING", "{{projectId}}", "{{projectId}}"],
  ["STRING", "", ""],
  ["BYTES", "00ff10", "\\x00ff10"],
  ["TIMESTAMP", "2026-01-31 12:00:00.123456+00", "2026-01-31 12:00:00.123456+00"],
  ["TIMESTAMP", "2026-01-31 12:00:00.1+00", "2026-01-31 12:00:00.100+00"],
  ["TIMESTAMP", "0001-01-01 00:00:00+00", "0001-01-01 00:00:00+00"],
  ["DATETIME", "9999-12-31 23:59:59.999999", "9999-12-31 23:59:59.999999"],
  ["DATE", "2026-02-28", "2026-02-28"],
  ["TIME", "23:59:59.999999", "23:59:59.999999"],
  ["JSON", '{"a":12345678901234567890,"b":[null,"x"]}', '{"a":12345678901234567890,"b":[null,"x"]}'],
];

const FIELDS = [{ name: "id", type: "INT64" }, ...VALUES.map(([type], index) => ({ name: `v${index}`, type }))];
const model = tableModel("all", ["id"]);

it("hands on every value as the text that BigQuery prints, from the rows and from the changes", async () => {
  await using server = await BigQueryServer.start();
  await server.create("shop.all", FIELDS);
  const written = Object.fromEntries(VALUES.map(([, text], index) => [`v${index}`, text]));
  const expected = VALUES.map(([, , text]) => text);
  await using source = bigquerySource(server);
  const opened = await source.open([model], [], NEVER);
  await server.insert("shop.all", { id: "1", ...written }, { id: "2" });
  const { changes } = await changesAfter(source, opened.position, 2);
  const nothing = VALUES.map(() => null);
  expect(changes.map(({ after }) => after)).toEqual([
    ["1", ...expected],
    ["2", ...nothing],
  ]);
  expect(await scanned(source, model)).toEqual([
    ["1", ...expected],
    ["2", ...nothing],
  ]);
});

it("names its types to destinations, and says how they go to JSON", async () => {
  await using server = await BigQueryServer.start();
  await server.create("shop.all", [
    ...FIELDS,
    { name: "list", type: "STRING", mode: "REPEATED" },
    { name: "place", type: "GEOGRAPHY" },
  ]);
  await using source = bigquerySource(server);
  const { columns, key } = await source.describe(model, NEVER);
  expect(key).toEqual([0]);
  const kinds = new Map(columns.map(({ name, type, json }) => [name, `${type} ${String(json)}`]));
  expect(kinds.get("id")).toBe("bigint number");
  expect(kinds.get("v1")).toBe("numeric(38,9) number");
  expect(kinds.get("v10")).toBe("bytea string");
  expect(kinds.get("v11")).toBe("timestamp with time zone string");
  expect(kinds.get("list")).toBe("json json");
  expect(kinds.get("place")).toBe("text string");
});

it("takes keys of every type that can tell rows apart, and no other", async () => {
  await using server = await BigQueryServer.start();
  await server.create("shop.all", FIELDS);
  await server.insert("shop.all", {
    id: "1",
    ...Object.fromEntries(VALUES.map(([, text], index) => [`v${index}`, text])),
  });
  await using source = bigquerySource(server);
  for (const [index, [type, , text]] of VALUES.entries()) {
    const keyed = { ...tableModel("all", [`v${index}`, "id"]), name: `by_${index}` };
    if (type === "FLOAT64" || type === "JSON")
      await expect(source.describe(keyed, NEVER)).rejects.toMatchObject({ code: "source.model" });
    else expect((await source.lookup(keyed, [[text, "1"]], NEVER)).rows, type).toHaveLength(1);
  }
  await expect(source.describe(tableModel("all", ["nane"]), NEVER)).rejects.toMatchObject({ code: "source.model" });
  await expect(source.describe({ ...tableModel("all"), name: "keyless" }, NEVER)).rejects.toThrow(
    "declares no primary key",
  );
});
