// The state's file is damaged, put back from a copy, lost, or on a disk that is full: named, never guessed at.
import { spawnSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { expect, test } from "vitest";
import { runCli, startCli } from "../support/cli.ts";
import { orderOf, overlaps } from "../support/ledger-order.ts";
import { forkLoad } from "../support/load-process.ts";
import { loadTable } from "../support/load-statements.ts";
import { compare } from "../support/oracle.ts";
import { type TestDatabase, testDatabase } from "../support/postgres.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";

const project = (database: TestDatabase, receiver: Receiver, path = "state.db"): string => `
state: { path: ${path} }
sources: { db: { type: postgres, url: "${database.url}" } }
models: { load: { source: db, table: public.load } }
destinations: { hook: { type: webhook, url: "${receiver.url}", allow_private: true } }
syncs: { load: { model: load, destination: hook, mode: mirror, max_deletes: 100% } }
`;

test(
  "a damaged state stops every command by name, and nothing is sent; an older copy is a gap; a lost one begins anew",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(
      `${loadTable("public.load")}; INSERT INTO load (id, version) SELECT i, 1 FROM generate_series(1, 20) i`,
    );
    await using receiver = await startReceiver();
    await using at = await testProject(project(database, receiver));
    const tailrace = (...args: string[]) => runCli([...args, "-c", at.folder], { cwd: at.folder });
    const file = join(at.folder, "state.db");
    const older = join(at.folder, "older.db");
    expect((await tailrace("run", "--once")).code).toBe(0);
    copyFileSync(file, older);
    {
      await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
      await database.sql("INSERT INTO load (id, version) SELECT i, 1 FROM generate_series(21, 30) i");
      const [{ lsn } = {}] = await database.rows("SELECT pg_current_wal_lsn()::text AS lsn");
      await receiver.until(({ counts }) => counts.acknowledgedRows === 30);
      // The source has been told, and the log until there may be gone.
      const told = `SELECT (confirmed_flush_lsn >= '${lsn}')::text AS told FROM pg_replication_slots WHERE database = current_database()`;
      await expect.poll(async () => (await database.rows(told))[0]?.["told"], { timeout: 30_000 }).toBe("true");
      engine.kill("SIGTERM");
      expect(await engine.exit).toEqual({ code: 0, signal: null });
    }
    const sound = readFileSync(file);
    const flipped = Buffer.from(sound);
    flipped[sound.indexOf("systemId")]! ^= 1;

    const damages: readonly (() => void)[] = [
      () => truncateSync(file, 6000),
      () => writeFileSync(file, Buffer.alloc(sound.length)),
      () => writeFileSync(file, ""),
      () => writeFileSync(file, flipped),
    ];
    for (const damage of damages) {
      damage();
      const damaged = readFileSync(file);
      for (const command of [["run", "--once"], ["status"], ["resync", "load"]]) {
        const { code, stdout, stderr } = await tailrace(...command);
        expect(code).not.toBe(0);
        expect(`${stdout}${stderr}`).toContain("state.corrupt");
        expect(`${stdout}${stderr}`).toContain(file);
        expect(`${stdout}${stderr}`).not.toMatch(/^\s+at /m);
      }
      expect(readFileSync(file).equals(damaged)).toBe(true);
    }
    expect(receiver.counts.requests).toBe(30);

    // As docs/state.md says: the log beside it belongs to the file that was there.
    for (const suffix of ["-wal", "-shm"]) rmSync(`${file}${suffix}`, { force: true });
    copyFileSync(older, file);
    const gap = await tailrace("run", "--once");
    expect(gap.code).toBe(1);
    expect(gap.stdout).toContain("source.gap.slot_ahead");
    expect(receiver.counts.requests).toBe(30);

    await database.sql("UPDATE load SET version = version + 1 WHERE id = 7");
    rmSync(file);
    expect((await tailrace("run", "--once")).code).toBe(0);
    const same = await compare(receiver.ledger.entries, database, { table: "public.load", key: ["id"] });
    expect(same).toMatchObject({ rows: 30, equal: true });
  },
);

const mayMount = process.getuid?.() === 0 && process.platform === "linux";

test.runIf(mayMount)(
  "on a full disk reading stops; when there is room, it goes on, with nothing lost",
  { timeout: 120_000 },
  async () => {
    await using database = await testDatabase();
    await database.sql(loadTable("public.load"));
    await using receiver = await startReceiver();
    await using at = await testProject(project(database, receiver, "disk/state.db"));
    const disk = join(at.folder, "disk");
    mkdirSync(disk);
    expect(spawnSync("mount", ["-t", "tmpfs", "-o", "size=64m", "tmpfs", disk]).status).toBe(0);
    await using _ = { [Symbol.asyncDispose]: async () => void spawnSync("umount", ["-l", disk]) };
    await using engine = startCli(["run", "-c", at.folder], { cwd: at.folder });
    await using load = forkLoad({ url: database.url, changes: 4000, keys: 300, seed: 3, ratePerSecond: 400 });
    await receiver.until(({ counts }) => counts.acknowledgedRows > 200);
    const filler = join(disk, "filler");
    expect(spawnSync("dd", ["if=/dev/zero", `of=${filler}`, "bs=64k"]).status).toBe(1);
    await engine.waitFor(/the state could not be written/);
    const heldBack = receiver.counts.acknowledgedRows;
    await load.done;
    rmSync(filler);
    const same = { table: "public.load", key: ["id"] };
    await expect
      .poll(async () => (await compare(receiver.ledger.entries, database, same)).equal, { timeout: 60_000 })
      .toBe(true);
    expect(receiver.counts.acknowledgedRows).toBeGreaterThan(heldBack);
    engine.kill("SIGTERM");
    expect(await engine.exit).toEqual({ code: 0, signal: null });
    expect(orderOf(receiver.ledger.entries).inversions).toEqual([]);
    expect(overlaps(receiver.ledger.entries)).toEqual([]);
    const { stdout } = await runCli(["status", "--json", "-c", at.folder], { cwd: at.folder });
    expect(JSON.parse(stdout)).toMatchObject({
      syncs: [{ sync: "load", delivered: receiver.counts.acknowledgedRows }],
    });
  },
);
