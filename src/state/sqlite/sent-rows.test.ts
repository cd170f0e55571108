import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Connection } from "./connection.ts";
import { openSentFile } from "./sent-file.ts";
import { SentRows } from "./sent-rows.ts";

const ROWS = 40_000;
const TIMES = 200;
let home = "";
let connection: Connection;

beforeEach(() => {
  home = mkdtempSync(join(tmpdir(), "tailrace-sent-"));
  ({ connection } = openSentFile(join(home, "state-sent.db")));
});

afterEach(() => {
  connection.close();
  rmSync(home, { recursive: true, force: true });
});

test("a record that is sent again is looked up, not looked for: however large the index is", () => {
  const sent = new SentRows(connection);
  const tookMs = (rows: number): number => {
    const { id } = sent.open(String(rows), "of");
    const records = Array.from({ length: rows }, (_, n) => [`["${n}"]`, [String(n), "x"]]);
    sent.announce(id, 0, null, JSON.stringify(records));
    const beganMs = performance.now();
    connection.write("volatile", () => {
      for (let n = 1; n <= TIMES; n += 1) sent.announce(id, n, null, JSON.stringify([records[0]]));
    });
    return performance.now() - beganMs;
  };
  const [few, many] = [tookMs(10), tookMs(ROWS)];
  expect(many / few).toBeLessThan(20);
});
