// What every source must do that reads a warehouse's history: from the warehouse (a fake that its real client library speaks to, or an account)
// through the whole engine to a receiver, which is then compared with what the warehouse prints.
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { loadConfig } from "../../src/app/config/load.ts";
import { run } from "../../src/app/run.ts";
import type { Log, LogFields } from "../../src/contracts/log.ts";
import { startCli } from "../support/cli.ts";
import { idConflicts, overlaps, rowsOf } from "../support/ledger-order.ts";
import { compareStates, fold, type State } from "../support/oracle.ts";
import { prng } from "../support/prng.ts";
import { testProject } from "../support/project.ts";
import { type Receiver, startReceiver } from "../support/receiver.ts";
import { gate, OK } from "../support/receiver-script.ts";

/** Texts as the warehouse takes them; `id` is the key, a 64-bit integer. */
export interface FeedTestRow {
  readonly id: string;
  readonly name: string | null;
  /** A decimal of 38 digits, 10 of them behind the point. */
  readonly amount: string | null;
  /** An instant with microseconds: `2024-02-29 23:59:59.123456`, in UTC. */
  readonly at: string | null;
}

export interface FeedCommit {
  readonly insert?: readonly FeedTestRow[];
  /** Whole rows, by their id; one that is the same is written all the same. */
  readonly update?: readonly FeedTestRow[];
  readonly delete?: readonly string[];
  /** From one id to another. */
  readonly rename?: readonly (readonly [from: string, to: string])[];
}

/** One table with the columns of {@link FeedTestRow}, empty at first, whose history is kept. */
export interface FeedHarness extends AsyncDisposable {
  /** The source as the configuration has it, polled fast. */
  readonly source: Readonly<Record<string, unknown>>;
  /** The model, without its source. */
  readonly model: Readonly<Record<string, unknown>>;
  /** In one commit. */
  write(commit: FeedCommit): Promise<void>;
  /** A commit that changes no row (the files are rewritten); false: the warehouse has no such thing. */
  rewriteFiles(): Promise<boolean>;
  /** By id, each column's text as the receiver is to have it. */
  rows(): Promise<State>;
  /** What was committed until now, and is not read yet, can never be read. null: this warehouse does not lose its history. */
  readonly loseHistory: (() => Promise<void>) | null;
  /** Dropped, and made again with the same columns and rows. */
  recreate(): Promise<void>;
  /** What goes wrong between the client library and the warehouse. null: nothing that we could bring about. */
  readonly faults: {
    /** The next so many requests get HTTP 503, or what stands for it. */
    unavailable(times: number): void;
    /** Of the next so many statements the answer is lost. */
    loseAnswers(times: number): void;
    /** The session is over. */
    endSession(): void;
    /** Whether all of it has happened. */
    readonly done: boolean;
  } | null;
}

const row = (id: number | string, name: string | null = `n${id}`, more: Partial<FeedTestRow> = {}): FeedTestRow => ({
  id: String(id),
  name,
  amount: "1.5",
  at: "2024-02-29 23:59:59.123456",
  ...more,
});
const rowsFrom = (first: number, count: number): FeedTestRow[] =>
  Array.from({ length: count }, (_, at) => row(first + at));

const TIMEOUT_MS = 30_000;
const MIRROR = { mode: "mirror", max_deletes: "100%" };

class Stage implements AsyncDisposable {
  readonly harness: FeedHarness;
  readonly receiver: Receiver;
  readonly folder: string;
  readonly logged: { readonly message: string; readonly fields: LogFields }[] = [];
  readonly #stack: AsyncDisposableStack;

  private constructor(harness: FeedHarness, receiver: Receiver, folder: string, stack: AsyncDisposableStack) {
    this.harness = harness;
    this.receiver = receiver;
    this.folder = folder;
    this.#stack = stack;
  }

  static async set(make: () => Promise<FeedHarness>, sync: Readonly<Record<string, unknown>> = MIRROR): Promise<Stage> {
    await using stack = new AsyncDisposableStack();
    const harness = stack.use(await make());
    const receiver = stack.use(await startReceiver());
    const config = {
      sources: { w: harness.source },
      models: { t: { source: "w", ...harness.model } },
      destinations: { r: { type: "webhook", url: receiver.url, allow_private: true } },
      syncs: { s: { model: "t", destination: "r", ...sync } },
    };
    // YAML holds JSON.
    const project = stack.use(await testProject(""));
    await project.configure(
      Object.entries(config)
        .map(([section, value]) => `${section}: ${JSON.stringify(value)}`)
        .join("\n"),
    );
    return new Stage(harness, receiver, project.folder, stack.move());
  }

  async run(options: { readonly once: boolean; readonly signal: AbortSignal }) {
    const config = await loadConfig({ path: join(this.folder, "tailrace.yml"), env: {} });
    return run(config, { ...options, log: this.#log() });
  }

  once() {
    return this.run({ once: true, signal: new AbortController().signal });
  }

  /** Runs beside the test until it is disposed, and ends cleanly then. */
  running(): AsyncDisposable {
    const stop = new AbortController();
    const over = this.run({ once: false, signal: stop.signal });
    over.catch(() => {});
    return {
      [Symbol.asyncDispose]: async () => {
        stop.abort();
        await over;
      },
    };
  }

  get held(): State {
    return fold(this.receiver.ledger.entries);
  }

  /** Waits until the receiver holds what the warehouse holds. */
  async equal(): Promise<void> {
    const rows = await this.harness.rows();
    const same = (): boolean => compareStates(rows, this.held).equal;
    await this.receiver.until(same, TIMEOUT_MS).catch(() => {});
    expect(compareStates(rows, this.held)).toMatchObject({ lost: [], extra: [], different: [] });
  }

  get sent(): number {
    return this.receiver.counts.rows;
  }

  #log(): Log {
    const note = (message: string, fields: LogFields = {}): void => void this.logged.push({ message, fields });
    const log: Log = { debug() {}, info: note, warn: note, error: note, child: () => log };
    return log;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stack.disposeAsync();
  }
}

/** `make`: a harness with a table of its own. */
export function feedSuite(name: string, make: () => Promise<FeedHarness>): void {
  describe(`feed of ${name}`, () => {
    test("the rows that exist, then each kind of change, and after a clean stop nothing twice", async () => {
      await using stage = await Stage.set(make);
      const { harness, receiver } = stage;
      await harness.write({ insert: rowsFrom(1, 5) });
      {
        await using _engine = stage.running();
        await stage.equal();
        await harness.write({ insert: [row(6)], update: [row(1, "other"), row(2)], delete: ["3"] });
        await stage.equal();
        await harness.write({ rename: [["4", "40"]] });
        await stage.equal();
        await harness.write({ delete: ["5"] });
        await harness.write({ insert: [row(5, "again")] });
        await stage.equal();
        await harness.rewriteFiles();
        await harness.write({ update: [row(6, "last")] });
        await receiver.until(() => stage.held.get("6")?.["name"] === "last", TIMEOUT_MS);
      }
      // Row 2 was written as it was.
      expect([...rowsOf(receiver.ledger.entries)].filter(({ key }) => key === "2")).toHaveLength(1);
      const before = stage.sent;
      expect((await stage.once()).problems).toEqual([]);
      expect(stage.sent).toBe(before);
      await harness.write({ update: [row(1, "while it was down")] });
      expect((await stage.once()).problems).toEqual([]);
      expect(stage.sent).toBe(before + 1);
      await stage.equal();
    });

    test("values arrive as the warehouse prints them", async () => {
      await using stage = await Stage.set(make);
      const odd = [
        row("9223372036854775807", "back\\slash 'quote' \"double\" \n\t \u{1f600} é"),
        row("-9223372036854775808", null, { amount: null, at: null }),
        row(0, "", { amount: "1234567890123456789012345678.0123456789", at: "1970-01-01 00:00:00.000001" }),
        row(1, "NULL", { amount: "-0.0000000001", at: "9999-12-31 23:59:59.999999" }),
      ];
      // Both ways: as rows that exist, and as changes.
      await stage.harness.write({ insert: odd.slice(0, 2) });
      await using _engine = stage.running();
      await stage.equal();
      await stage.harness.write({ insert: odd.slice(2) });
      await stage.equal();
      expect(stage.held.size).toBe(4);
      expect(stage.held.get("9223372036854775807")?.["name"]).toBe(odd[0]!.name);
      expect(stage.held.get("-9223372036854775808")).toMatchObject({ name: null, amount: null, at: null });
      expect(stage.held.get("0")?.["amount"]).toBe("1234567890123456789012345678.0123456789");
      expect(stage.held.get("1")?.["at"]).toContain("59.999999");
    });

    test("killed in the midst of a commit it goes on there, with the same ids", async () => {
      await using stage = await Stage.set(make, {
        mode: "event",
        on: ["insert", "update", "delete"],
        backfill: false,
        batch: { rows: 20 },
      });
      const { harness, receiver } = stage;
      await harness.write({ insert: [row(1)] });
      const told = (): Set<string> =>
        new Set([...rowsOf(receiver.ledger.entries)].flatMap((each) => (each.acknowledged ? [each.key] : [])));
      await stage.once();
      await harness.write({ insert: rowsFrom(100, 400) });
      const held = gate();
      receiver.script(async () => {
        if (receiver.counts.acknowledgedRows >= 100) await held.opened;
        return OK;
      });
      {
        await using engine = startCli(["run", "-c", stage.folder], { cwd: stage.folder });
        await receiver.until(() => receiver.counts.acknowledgedRows >= 100 && receiver.counts.inFlight > 0, TIMEOUT_MS);
        engine.kill("SIGKILL");
        await engine.exit;
      }
      held.open();
      receiver.script(() => OK);
      await receiver.restart();
      expect((await stage.once()).problems).toEqual([]);
      expect(told().size).toBe(400);
      const rows = [...rowsOf(receiver.ledger.entries)];
      expect(idConflicts(receiver.ledger.entries)).toEqual([]);
      expect(new Set(rows.map(({ id }) => id)).size).toBe(400);
      // Far less than the whole commit came again.
      expect(rows.length).toBeLessThan(700);
    });

    test("requests that fail, answers that are lost and sessions that end lose nothing", async (context) => {
      await using stage = await Stage.set(make);
      const { harness } = stage;
      const { faults } = harness;
      if (faults === null) return context.skip("an account of the vendor cannot be made to fail");
      await harness.write({ insert: rowsFrom(1, 50) });
      await using _engine = stage.running();
      await stage.equal();
      faults.unavailable(2);
      await harness.write({ update: rowsFrom(1, 10).map((each) => ({ ...each, name: "a" })) });
      await stage.equal();
      faults.loseAnswers(2);
      await harness.write({ delete: ["11", "12"], insert: [row(60)] });
      await stage.equal();
      faults.endSession();
      await harness.write({ update: [row(1, "b")] });
      await stage.equal();
      expect(faults.done).toBe(true);
    });

    test("a history that is lost is a gap with a name, and a resync mends it", async (context) => {
      await using stage = await Stage.set(make);
      const { harness } = stage;
      if (harness.loseHistory === null) return context.skip("this warehouse cannot be made to forget its history");
      await harness.write({ insert: rowsFrom(1, 5) });
      expect((await stage.once()).problems).toEqual([]);
      await harness.write({ delete: ["1"], update: [row(2, "unseen")] });
      await harness.loseHistory();
      await harness.write({ insert: [row(9)] });
      const before = stage.sent;
      await expectGap(stage, /source\.gap\.(purged|feed)/);
      expect(stage.sent).toBe(before);
      await resync(stage);
    });

    test("a table that was dropped and made again is a gap with a name", async () => {
      await using stage = await Stage.set(make);
      const { harness } = stage;
      await harness.write({ insert: rowsFrom(1, 5) });
      expect((await stage.once()).problems).toEqual([]);
      await harness.recreate();
      await harness.write({ update: [row(1, "new")] });
      await expectGap(stage, /source\.gap\.replaced/);
      await resync(stage);
    });

    test("killed at any moment under load, it ends as the warehouse", async () => {
      await using stage = await Stage.set(make);
      const { harness, receiver } = stage;
      const random = prng(7);
      let next = 1_000;
      await harness.write({ insert: rowsFrom(1, 100) });
      for (let kill = 0; kill < 2; kill += 1) {
        await using engine = startCli(["run", "-c", stage.folder], { cwd: stage.folder });
        const from = receiver.counts.rows;
        await receiver.until(({ counts }) => counts.rows > from, TIMEOUT_MS);
        for (let commit = 0; commit < 20; commit += 1) {
          const ids = [...(await harness.rows()).keys()];
          const [gone, changed] = [random.pick(ids), random.pick(ids)];
          await harness.write({
            insert: [row((next += 1))],
            ...(gone === changed ? {} : { delete: [gone] }),
            update: [row(changed, `v${commit}`)],
          });
        }
        const soon = receiver.counts.rows + random.int(10);
        await receiver.until(({ counts }) => counts.rows >= soon, TIMEOUT_MS);
        engine.kill("SIGKILL");
        await engine.exit;
        await receiver.restart();
      }
      expect((await stage.once()).problems).toEqual([]);
      await stage.equal();
      expect(overlaps(receiver.ledger.entries)).toEqual([]);
    });
  });
}

async function expectGap(stage: Stage, code: RegExp): Promise<void> {
  const { problems } = await stage.once();
  expect(problems).toHaveLength(1);
  const stopped = stage.logged.find(({ message }) => message === "the sync stopped");
  expect(String(stopped?.fields["code"])).toMatch(code);
  expect(String(stopped?.fields["error"])).toContain("model `t`");
}

async function resync(stage: Stage): Promise<void> {
  await using engine = startCli(["resync", "s", "-c", stage.folder], { cwd: stage.folder });
  expect(await engine.exit).toMatchObject({ code: 0 });
  expect((await stage.once()).problems).toEqual([]);
  await stage.equal();
}
