import { expect, test } from "vitest";
import { Timetable } from "./timetable.ts";

test("one that is asked for is due at once, until one begins that reads everything", () => {
  const timetable = new Timetable({ kind: "every", ms: 1000 }, 0);
  timetable.began(0);
  let woken = 0;
  timetable.onAsked = () => (woken += 1);
  expect(timetable.waitMs(400)).toBe(600);
  timetable.ask();
  expect(woken).toBe(1);
  expect(timetable.waitMs(400)).toBe(0);
  // What it read before, it read too early.
  timetable.began(500, true);
  expect(timetable.waitMs(500)).toBe(0);
  timetable.began(600);
  expect(timetable.waitMs(600)).toBe(1000);
});

test("without a schedule nothing is due unless it is asked for", () => {
  const timetable = new Timetable(null, 0);
  expect(timetable.waitMs(0)).toBeNull();
  timetable.ask();
  expect(timetable.waitMs(0)).toBe(0);
});

test("cron is meant in its time zone, over a change of the clocks", () => {
  const at = Date.UTC(2026, 9, 24, 12);
  const timetable = new Timetable({ kind: "cron", expression: "30 4 * * *", timezone: "Europe/Berlin" }, at);
  // On the 25th of October the clocks go back at three: 4:30 is 3:30 UTC.
  expect(timetable.waitMs(at)).toBe(Date.UTC(2026, 9, 25, 3, 30) - at);
  timetable.began(Date.UTC(2026, 9, 25, 3, 30));
  expect(timetable.waitMs(Date.UTC(2026, 9, 25, 3, 30))).toBe(24 * 3_600_000);
});
