import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { rowHash } from "../../kit/row-hash.ts";
import { SentDatabase } from "./sent-database.ts";
import { openSentFile } from "./sent-file.ts";

const FEW = 10;
const MANY = 40_000;
const TIMES = 200;
let home = "";
let sent: SentDatabase;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tailrace-sent-"));
  sent = new SentDatabase(openSentFile(join(home, "state-sent.db")).connection);
});

afterEach(() => {
  sent.close();
  rmSync(home, { recursive: true, force: true });
});

/** How many times longer `work` takes in a large index than in a small one. */
function growth(open: (sync: string, rows: number) => (time: number) => void): number {
  const [few, many] = [FEW, MANY].map((rows) =>
    sent.write(() => {
      const work = open(`of ${rows}`, rows);
      const beganMs = performance.now();
      for (let time = 1; time <= TIMES; time += 1) work(time);
      return performance.now() - beganMs;
    }),
  );
  return many! / few!;
}

describe("what is asked of few takes as long in a large index as in a small one", () => {
  test("records: one is sent again; the end is read", () => {
    const grown = growth((sync, rows) => {
      const { id } = sent.records.open(sync, "of");
      const records = Array.from({ length: rows }, (_, n) => [`["${n}"]`, [String(n), "x"]]);
      sent.records.announce(id, 0, null, JSON.stringify(records));
      return (time) => {
        sent.records.announce(id, time, null, JSON.stringify([records[0]]));
        sent.records.others(id, time, '["999999"]');
      };
    });
    expect(grown).toBeLessThan(20);
  });

  test("rows: one is found, announced and confirmed; the end is read", () => {
    const grown = growth((sync, rows) => {
      const { id } = sent.rows.open(sync, { identity: "of", content: "", parts: [] });
      const list = Array.from({ length: rows }, (_, n) => [String(n), null, null, rowHash([String(n)])]);
      sent.rows.announce(id, JSON.stringify(list));
      return () => {
        const { versions } = sent.rows.announce(id, JSON.stringify([["7", null, null, null]]));
        sent.rows.confirm(id, JSON.stringify([["7", versions[0]]]));
        sent.rows.find(id, '["7"]');
        sent.rows.page(id, "999999");
      };
    });
    expect(grown).toBeLessThan(20);
  });
});
