// What every vendor's destination must do, through the engine's own queue, lane and gate, against a mock of the vendor.
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { parse } from "yaml";
import type { DestinationConnector } from "../../src/contracts/destination.ts";
import { rate } from "../../src/app/config/schema-parts.ts";
import type { TailraceError } from "../../src/contracts/errors.ts";
import { faultsInTurn, randomFaults } from "../mocks/support/faults.ts";
import type { MockRequest } from "../mocks/support/mock.ts";
import { hasDescription } from "../mocks/support/openapi.ts";
import { prng } from "../support/prng.ts";
import { VendorRun, type VendorRunOptions, testMemory } from "../support/vendor-lane.ts";
import { plainState } from "./counterpart.ts";
import { canaryLog, eventually, neverAborted, readable } from "./running.ts";
import { checkSettings, secretPlaces } from "./settings.ts";
import { type VendorCase, casesOf, isGone, play, rowOf, storedRow } from "./vendor-rows.ts";
import type { VendorCounterpart, VendorHarness } from "./vendor-harness.ts";

const UPSERT: VendorCase = { mode: "upsert", onDelete: { kind: "ignore" } };

export function describeVendor(connector: DestinationConnector, harnesses: readonly VendorHarness[]): void {
  test("its settings are documented and mark their secrets", () => {
    expect([...checkSettings(connector.settings), ...checkSettings(connector.sync)]).toEqual([]);
  });

  test("its guide tells all that a user needs, and its example is right", () => {
    const { guide, type } = connector;
    expect(Object.values(guide ?? {}).filter((text) => text.length === 0)).toEqual([]);
    const example = parse(guide!.example) as Example;
    const [destination] = Object.values(example.destinations);
    const { type: given, rate: givenRate, concurrency: _concurrency, ...settings } = destination!;
    expect(given).toBe(type);
    rate.optional().parse(givenRate);
    connector.settings.parse(settings);
    const syncs = Object.values(example.syncs);
    expect(syncs.length).toBeGreaterThan(0);
    for (const { options } of syncs) connector.sync.parse(options ?? {});
  });

  test("there is a harness", () => expect(harnesses.length).toBeGreaterThan(0));
  for (const harness of harnesses) describe(harness.name, () => describeObject(connector, harness));
}

interface Example {
  readonly destinations: Record<string, Record<string, unknown>>;
  readonly syncs: Record<string, { readonly options?: unknown }>;
}

function describeObject(connector: DestinationConnector, harness: VendorHarness): void {
  const secret = `SECRET${randomBytes(12).toString("hex")}`;
  const canary = `ROW${randomBytes(12).toString("hex")}`;
  const log = canaryLog();
  const said: string[] = [];
  /** Those to the vendors of the random mixes. */
  const requests: MockRequest[] = [];
  const folder = mkdtempSync(join(tmpdir(), "tailrace-vendor-"));
  let counterpart: VendorCounterpart;

  beforeAll(async () => {
    counterpart = await harness.start(secret);
  });
  afterAll(async () => {
    await counterpart[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true });
  });

  const [keyColumn] = Object.keys(harness.columns) as [string, ...string[]];
  const open = (of: VendorCase, more: Partial<VendorRunOptions> = {}): Promise<VendorRun> =>
    VendorRun.open({
      connector,
      settings: counterpart.settings(counterpart.token),
      object: harness.object,
      options: harness.options,
      columns: harness.columns,
      log: log.log,
      ...of,
      ...more,
    });
  const note = (run: VendorRun): VendorRun => {
    for (const error of [...run.stops, ...run.rejected.map((each) => each.error)]) said.push(readable(error));
    return run;
  };
  const begin = (): void => {
    counterpart.clear();
    counterpart.mock.fail(() => null);
  };
  const state = (): unknown => plainState(counterpart.state(), Object.keys(harness.columns));
  const wanted = (rows: readonly Readonly<Record<string, string | null>>[]): unknown =>
    plainState(new Map(rows.map((row) => [row[keyColumn]!, storedRow(harness, row)])), Object.keys(harness.columns));
  const rows = (count: number, from = 0): Record<string, string | null>[] => {
    const random = prng(7 + from);
    return Array.from({ length: count }, (_, at) => rowOf(harness, from + at, random, canary));
  };
  const cases = casesOf(connector, harness);
  const stateCase = cases.find(({ mode }) => mode === "upsert" || mode === "mirror") ?? cases[0]!;
  const keeps = stateCase.mode !== "event";

  test("secrets are given only where the settings mark them", () => {
    const places = secretPlaces(connector.settings, counterpart.settings(counterpart.token), secret);
    expect(places.length).toBeGreaterThan(0);
    expect(places.filter(({ marked }) => !marked)).toEqual([]);
  });

  test("check finds nothing wrong with what is right, and says what is wrong", async () => {
    begin();
    await using run = await open(stateCase);
    const right = await run.destination.check([run.target], neverAborted());
    expect(right.filter(({ level }) => level === "error")).toEqual([]);
    if (harness.waived["unknown field"] === undefined) {
      await using wrong = await open(stateCase, { columns: { ...harness.columns, no_such_field: "text" } });
      const findings = await wrong.destination.check([wrong.target], neverAborted());
      said.push(JSON.stringify(findings));
      expect(
        findings
          .filter(({ level }) => level === "error")
          .map(({ message }) => message)
          .join(),
      ).toContain("no_such_field");
    }
    const unknown = counterpart.settings("wrong-token");
    await using stranger = await open(stateCase, { settings: unknown });
    const findings = await stranger.destination.check([stranger.target], neverAborted());
    said.push(JSON.stringify(findings));
    expect(findings.map(({ code }) => code)).toContain("destination.auth");
  });

  for (const of of cases) {
    // At vendors of their own, because most of their time is pauses after faults.
    test.concurrent(
      `${of.mode}${of.mode === "mirror" ? `, on_delete: ${of.onDelete.kind}` : ""}: after a random mix with faults it holds what the source does`,
      { timeout: 120_000 },
      async () => {
        await Promise.all([1, 2, 3].map((seed) => mix(of, seed)));
      },
    );
  }

  test.skipIf(harness.waived.poison !== undefined)(
    "of a batch with one row that it refuses, exactly that one is rejected",
    async () => {
      begin();
      const good = rows(12);
      const bad = { ...rowOf(harness, 90, prng(3), canary), ...harness.poison };
      await using run = await open(stateCase);
      for (const row of [...good.slice(0, 6), bad, ...good.slice(6)]) run.put(row, "insert");
      await run.finished();
      note(run);
      expect(run.stops).toEqual([]);
      expect(run.rejected.map(({ key }) => key)).toEqual([bad[keyColumn]]);
      expect(run.rejected[0]?.error.consequence).toBe("row-permanent");
      expect(run.delivered).toBe(good.length);
      if (keeps) expect(state()).toEqual(wanted(good));
    },
  );

  test.skipIf(harness.waived.unaccounted !== undefined)(
    "an answer that does not account for a row is not taken for success",
    async () => {
      const answers = harness.silent ?? [
        { status: 200, body: {} },
        { status: 200, body: "" },
      ];
      for (const answer of answers) {
        begin();
        counterpart.mock.fail((request) => (harness.writes(request) ? answer : null));
        await using run = await open(stateCase, { attempts: 2 });
        for (const row of rows(3)) run.put(row, "insert");
        await eventually(async () => counterpart.mock.requests.filter((each) => harness.writes(each)).length > 0);
        await eventually(async () => run.left < 3 || run.gate.inFlight === 0);
        note(run);
        expect(run.delivered).toBe(0);
        counterpart.mock.fail(() => null);
      }
    },
  );

  test("a pause that it asks for is kept to, and nothing is lost by it", async () => {
    begin();
    counterpart.mock.fail(faultsInTurn([harness.throttled(1)], (request) => harness.writes(request)));
    const sent: number[] = [];
    await using run = await open(stateCase);
    const seen = counterpart.mock.requests.length;
    for (const row of rows(3)) run.put(row, "insert");
    await eventually(async () => counterpart.mock.requests.slice(seen).some((each) => harness.writes(each)));
    sent.push(performance.now());
    await run.finished();
    expect(performance.now() - sent[0]!).toBeGreaterThan(900);
    expect(run.delivered).toBe(3);
    if (keeps) expect(state()).toEqual(wanted(rows(3)));
  });

  test.skipIf(harness.waived.rotation !== undefined)(
    "credentials that are replaced while it runs are taken up",
    { timeout: 60_000 },
    async () => {
      begin();
      const file = join(folder, "token");
      writeFileSync(file, counterpart.token);
      await using run = await open(stateCase, { settings: counterpart.settings({ file }) });
      for (const row of rows(5)) run.put(row, "insert");
      await run.finished();
      writeFileSync(file, counterpart.rotate());
      for (const row of rows(5, 5)) run.put(row, "insert");
      await run.finished();
      expect([...run.stops, ...run.rejected]).toEqual([]);
      expect(run.delivered).toBe(10);
      if (keeps) expect(state()).toEqual(wanted([...rows(5), ...rows(5, 5)]));
    },
  );

  test("refused credentials make the sync wait, and reject no row", async () => {
    begin();
    await using run = await open(stateCase, { settings: counterpart.settings("wrong-token") });
    for (const row of rows(2)) run.put(row, "insert");
    await eventually(async () => run.gate.closedBy !== null);
    expect(run.gate.closedBy?.code).toBe("destination.auth");
    said.push(readable(run.gate.closedBy as TailraceError));
    expect([run.delivered, run.rejected, run.left]).toEqual([0, [], 2]);
  });

  test.skipIf(harness.waived.oversize !== undefined)(
    "a row that is larger than what it takes is rejected, and no other",
    { timeout: 60_000 },
    async () => {
      begin();
      const column = Object.keys(harness.columns).find(
        (name) => name !== keyColumn && harness.columns[name] === "text",
      )!;
      await using run = await open(stateCase);
      const large = {
        ...rowOf(harness, 91, prng(4), canary),
        [column]: canary + "x".repeat(run.destination.limits.batchBytes * 2),
      };
      const good = rows(4);
      for (const row of [...good.slice(0, 2), large, ...good.slice(2)]) run.put(row, "insert");
      await run.finished();
      note(run);
      expect(run.rejected.map(({ key }) => key)).toEqual([large[keyColumn]]);
      if (keeps) expect(state()).toEqual(wanted(good));
    },
  );

  test(
    "after a kill while requests are unanswered it goes on, and ends in the same state",
    { timeout: 60_000 },
    async () => {
      begin();
      const memory = testMemory();
      const all = rows(30);
      counterpart.mock.hold();
      let writes = 0;
      const random = prng(99);
      counterpart.mock.fail((request) => {
        if (!harness.writes(request)) return writes > 0 ? "hang" : null;
        writes += 1;
        return null;
      });
      let run = await open(stateCase, { memory, batchRows: 10 });
      for (const row of all) run.put(row, "insert");
      await eventually(async () => writes > 0);
      await run[Symbol.asyncDispose]();
      counterpart.mock.fail(() => null);
      counterpart.mock.release();
      // What was not delivered is sent again, some of it in a newer version.
      run = await open(stateCase, { memory, batchRows: 10 });
      await using second = run;
      const newer = all.map((row, at) =>
        at % 3 === 0 ? { ...rowOf(harness, at, random, canary), [keyColumn]: row[keyColumn]! } : row,
      );
      for (const [at, row] of newer.entries()) second.put(row, "update", row === all[at] ? at + 1 : at + 1001);
      await second.finished();
      note(second);
      expect(second.rejected).toEqual([]);
      if (keeps) expect(state()).toEqual(wanted(newer));
      expect(memory.text).toBeNull();
    },
  );

  test("what cannot be reached is waited for, and told by check", async () => {
    begin();
    await using run = await open(stateCase);
    await counterpart.mock.down();
    for (const row of rows(3)) run.put(row, "insert");
    await eventually(async () => run.gate.inFlight === 0);
    const findings = await run.destination.check([run.target], neverAborted());
    said.push(JSON.stringify(findings));
    expect(findings.some(({ level }) => level === "error")).toBe(true);
    await counterpart.mock.up();
    await run.finished();
    expect(run.delivered).toBe(3);
  });

  test("disposing closes what it opened", async () => {
    begin();
    {
      await using run = await open(stateCase);
      for (const row of rows(3)) run.put(row, "insert");
      await run.finished();
    }
    await eventually(async () => counterpart.mock.connections === 0);
  });

  const { description } = harness;
  if (description !== undefined) {
    test.skipIf(!hasDescription(description.file))(
      `every request is right by the vendor's own description (${description.file})`,
      async () => {
        const loaded = await description.load();
        const checked = [...requests, ...counterpart.mock.requests].map((request) => ({
          request,
          faults: loaded.faults(request),
        }));
        expect(checked.filter(({ faults }) => faults !== undefined).length).toBeGreaterThan(0);
        expect(checked.filter(({ faults }) => faults !== undefined && faults !== null).slice(0, 3)).toEqual([]);
        expect(loaded.faults(description.wrong)?.length ?? 0).toBeGreaterThan(0);
      },
    );
  }

  // Last: it looks at everything that the tests above have provoked.
  test("no secret and no row value is in a log line, an error or a finding", () => {
    const everything = [...said, ...log.lines];
    for (const word of [secret, canary, Buffer.from(secret).toString("base64")])
      expect(everything.filter((text) => text.includes(word))).toEqual([]);
  });

  /** A random history with faults, at a vendor of its own. */
  async function mix(of: VendorCase, seed: number): Promise<void> {
    await using vendor = await harness.start(secret);
    const settings = vendor.settings(vendor.token);
    await using before = of.mode === "update" ? await open(UPSERT, { settings }) : null;
    const { capabilities } = await dummy(open);
    const history = play(harness, of, seed, canary, capabilities.partialUpdates);
    if (before !== null) {
      for (const row of history.existing) before.put(row, "insert");
      await before.finished();
    }
    vendor.mock.fail(
      randomFaults({
        seed,
        rate: harness.faultRate ?? 0.25,
        answers: [harness.throttled(0)],
        // A repeat of what is made once is refused, or is there twice.
        ...(of.mode === "insert" && { kinds: ["reset-before"] }),
      }),
    );
    await using run = await open(of, { batchRows: 20, settings });
    for (const [at, step] of history.steps.entries()) {
      if (step.kind === "gone") run.gone(step.row);
      else run.put(step.row, step.kind);
      // Several requests, so that there is something to mix up.
      if (at % 25 === 24) await new Promise(setImmediate);
    }
    await run.finished(90_000);
    expect(
      note(run).rejected.map(({ error }) => readable(error)),
      `seed ${seed}`,
    ).toEqual([]);
    expect(run.stops).toEqual([]);
    if (of.mode === "event") {
      const seen = vendor.events!();
      expect([...new Set(seen)].sort(), `seed ${seed}`).toEqual([...history.markers].sort());
      if (capabilities.idempotencyKey) expect(seen.length).toBe(history.markers.length);
    } else {
      const [actual, expected] = [new Map(vendor.state()), new Map(history.state)];
      for (const key of history.gone) {
        const row = actual.get(key);
        expected.delete(key);
        actual.delete(key);
        // It may have come and gone before anything of it was sent: then nothing is there to be archived or emptied.
        if (row !== undefined) expect(isGone(harness, of, row), `seed ${seed}, ${key}`).toBe(true);
      }
      const columns = Object.keys(harness.columns);
      expect(plainState(actual, columns), `seed ${seed}`).toEqual(plainState(expected, columns));
    }
    requests.push(...vendor.mock.requests);
  }

  // It can be asked without a run.
  async function dummy(opened: typeof open) {
    await using run = await opened(stateCase);
    return run.destination;
  }
}
