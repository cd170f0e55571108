import { expect, test } from "vitest";
import { mapOf, relationWith, syncWith } from "../../test/support/syncs.ts";
import { behaviourOf } from "./explain.ts";
import { fieldsInWords, mapRelation } from "./mapped-sync.ts";

const relation = relationWith({ id: "bigint", email: "text", plan: "text" });

test("without a map: every column under its own name", () => {
  const sync = syncWith();
  expect(fieldsInWords(sync, mapRelation(sync, relation))).toEqual([
    { field: "id", from: "id", type: "bigint", match: true },
    { field: "email", from: "email", type: "text", match: false },
    { field: "plan", from: "plan", type: "text", match: false },
  ]);
});

test("each kind of field says where it comes from; a constant, which may be a secret, is not shown", () => {
  const sync = syncWith({
    match: "mail",
    map: mapOf({
      mail: { column: "email", null: "omit" },
      key: { column: "id", as: "string" },
      token: { value: "s3cret" },
      name: { template: "{{ email }}!" },
    }),
  });
  const fields = fieldsInWords(sync, mapRelation(sync, relation));
  expect(fields.map(({ field, from, match }) => [field, from, match])).toEqual([
    ["mail", "email, null: omit", true],
    ["key", "id as string", false],
    ["token", "a constant", false],
    ["name", "{{ email }}!", false],
  ]);
  expect(JSON.stringify(fields)).not.toContain("s3cret");
});

test("every mode says what becomes of an insert, an update and a delete", () => {
  for (const mode of ["upsert", "mirror", "insert", "update", "event"] as const) {
    const text = behaviourOf(syncWith({ mode })).join(" ");
    expect(text).toMatch(/new|insert|none is created/);
    expect(text).toMatch(/[Dd]elete|gone/);
  }
  for (const kind of ["delete", "clear", "ignore"] as const) {
    expect(
      behaviourOf(syncWith({ onDelete: { kind } })).filter((line) => line.startsWith("A row that is gone")),
    ).toHaveLength(1);
  }
  expect(behaviourOf(syncWith({ backfill: false })).join(" ")).toContain("rows that exist are not sent");
});

test("an event of a model whose rows are read is a difference that was found", () => {
  const sync = syncWith({ mode: "event", on: ["insert", "delete"] });
  expect(behaviourOf(sync, "log").join(" ")).toContain("Every change is sent");
  const text = behaviourOf(sync, "live").join(" ");
  expect(text).toContain("(insert, delete) is one event");
  expect(text).not.toMatch(/Every change is sent|TRUNCATE/);
});
