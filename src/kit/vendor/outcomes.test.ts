import { expect, test } from "vitest";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { DELIVERED, type Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { Outcomes, placesBy } from "./outcomes.ts";

const shape = shapeOf({ id: "text" });
const rows = ["a", "b", "c"].map((id) => delivery({ shape, values: [id] }));
const no: Outcome = { status: "rejected", error: new TailraceError("destination.refused", "no") };
const statuses = (outcomes: readonly Outcome[]): string => outcomes.map(({ status }) => status).join();

test("what an answer does not say is sent again, not delivered", () => {
  const outcomes = new Outcomes(rows);
  outcomes.delivered(0);
  outcomes.set(2, no);
  expect(statuses(outcomes.whereSaid())).toBe("delivered,retry,rejected");
});

test("where failures alone are listed, the others are delivered, unless a failure cannot be told whose it is", () => {
  const listed = new Outcomes(rows);
  listed.set(1, no);
  expect(statuses(listed.unlessSaid())).toBe("delivered,rejected,delivered");
  listed.set(undefined, no);
  expect(statuses(listed.unlessSaid())).toBe("retry,rejected,retry");
  const beyond = new Outcomes(rows);
  beyond.set(3, no);
  expect(statuses(beyond.unlessSaid())).toBe("retry,retry,retry");
  const alone = new Outcomes(rows.slice(0, 1));
  alone.someRow(no);
  expect(alone.unlessSaid()).toEqual([no]);
});

test("said twice, the worse holds", () => {
  const outcomes = new Outcomes(rows);
  outcomes.set(0, no);
  outcomes.delivered(0);
  outcomes.set(1, DELIVERED);
  outcomes.set(1, no);
  expect(statuses(outcomes.whereSaid())).toBe("rejected,rejected,retry");
});

test("a key of several rows leads to none of them", () => {
  expect([...placesBy(rows, (row) => (row.match[0] === "c" ? "c" : "ab"))]).toEqual([["c", 2]]);
});
