// What every destination must do, checked against the real thing at its other end.
import { randomBytes } from "node:crypto";
import { asyncProperty, assert } from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type {
  Delivery,
  Destination,
  DestinationConnector,
  Outcome,
  Target,
  Writer,
} from "../../src/contracts/destination.ts";
import { TailraceError } from "../../src/contracts/errors.ts";
import { delivery } from "../support/deliveries.ts";
import type { RowTexts } from "../support/oracle.ts";
import { type Counterpart, type DestinationHarness, plainState } from "./counterpart.ts";
import { type Case, caseName, historyOf, steps, targetOf } from "./deliveries-of.ts";
import { canaryLog, eventually, neverAborted, readable, send } from "./running.ts";
import { checkSettings, secretPlaces } from "./settings.ts";

const UPSERT: Case = { mode: "upsert", onDelete: { kind: "ignore" } };
const RUNS = 12;

/** Registers the suite of one destination. */
export function describeDestination(
  type: string,
  connector: DestinationConnector,
  harnesses: readonly DestinationHarness[],
): void {
  test("its default export is a connector", () => {
    expect(connector).toMatchObject({
      type,
      title: expect.stringMatching(/\S/) as string,
      create: expect.any(Function) as unknown,
    });
    expect(harnesses.length).toBeGreaterThan(0);
  });
  test("its settings are documented and mark their secrets", () => {
    expect([...checkSettings(connector.settings), ...checkSettings(connector.sync)]).toEqual([]);
  });
  for (const harness of harnesses)
    describe.skipIf(harness.missing !== undefined)(harness.missing ?? harness.name, () =>
      describeVariant(connector, harness),
    );
}

function describeVariant(connector: DestinationConnector, harness: DestinationHarness): void {
  const secret = `SECRET${randomBytes(12).toString("hex")}`;
  const canary = `ROW${randomBytes(12).toString("hex")}`;
  const log = canaryLog();
  /** Whatever was thrown or answered, as an operator could come to read it. */
  const said: string[] = [];
  let counterpart: Counterpart;
  let destination: Destination;
  let syncs = 0;

  const create = (of = counterpart): Destination =>
    connector.create(connector.settings.parse(of.settings), {
      name: "d",
      log: log.log,
      baseDirectory: "/nonexistent",
    });
  const targetFor = (of: Case, wide = false, at = counterpart): Target => {
    syncs += 1;
    const sync = `conformance_${syncs}`;
    const place = at.place(sync);
    return targetOf(of, sync, { object: place.object, options: connector.sync.parse(place.options) }, wide);
  };
  const note = (error: unknown): TailraceError => {
    expect(error).toBeInstanceOf(TailraceError);
    said.push(readable(error as TailraceError));
    return error as TailraceError;
  };
  const row = (target: Target, id: string, name = canary): Delivery =>
    delivery({
      shape: target.shape,
      values: target.shape.fields.map((field) => (field.name === "id" ? id : field.name === "name" ? name : null)),
      matchFields: target.match,
      sync: target.sync,
    });
  const opened = (target: Target, of: Destination = destination): Promise<Writer> => of.open(target, neverAborted());

  beforeAll(async () => {
    counterpart = await harness.start(secret);
    destination = create();
  });
  afterAll(async () => {
    await destination[Symbol.asyncDispose]();
    await counterpart[Symbol.asyncDispose]();
  });

  /** The counterpart's ability; where it lacks it, the harness must say why. */
  function able<K extends "state" | "events" | "refuse" | "stall" | "down">(
    name: K,
  ): NonNullable<Counterpart[K]> | null {
    const ability = counterpart[name];
    if (ability === undefined && harness.waived[name] === undefined)
      throw new Error(`the harness can neither \`${name}\` nor says why`);
    return ability ?? null;
  }

  test("limits and capabilities are sound", () => {
    const { limits, capabilities } = destination;
    for (const name of ["batchRows", "batchBytes", "concurrency"] as const)
      expect(limits[name], name).toBeGreaterThanOrEqual(1);
    expect(limits.batchAgeMs).toBeGreaterThanOrEqual(0);
    expect(limits.perSecond === null || limits.perSecond > 0).toBe(true);
    expect(capabilities.modes.length).toBeGreaterThan(0);
    expect(new Set(capabilities.modes).size).toBe(capabilities.modes.length);
    if (capabilities.modes.includes("mirror")) expect(capabilities.deletes.length).toBeGreaterThan(0);
  });

  test("secrets are given only where the settings mark them", () => {
    const places = secretPlaces(connector.settings, counterpart.settings, secret);
    if (harness.waived.secret === undefined) expect(places.length).toBeGreaterThan(0);
    expect(places.filter(({ marked }) => !marked)).toEqual([]);
  });

  test("check finds nothing wrong with what is right", async () => {
    const findings = await destination.check([targetFor(UPSERT)], neverAborted());
    said.push(JSON.stringify(findings));
    expect(findings.filter(({ level }) => level === "error")).toEqual([]);
  });

  test("every mode that it declares leaves behind what it should", async () => {
    const state = able("state");
    const events = able("events");
    const { modes, deletes, partialUpdates } = destination.capabilities;
    for (const of of casesOf(modes, deletes)) {
      await assert(
        asyncProperty(steps(canary, harness.unstorable), async (all) => {
          // Everything about the run follows from its steps, so that it can be repeated.
          const wide = of.mode !== "event" && all.length % 3 === 0;
          const target = targetFor(of, wide);
          let existing: ReadonlyMap<string, RowTexts> | undefined;
          const batchRows = Math.min(destination.limits.batchRows, 10);
          if (of.mode === "update") {
            const upserting: Target = { ...target, mode: "upsert" };
            await using writer = await opened(upserting);
            const first = historyOf(
              upserting,
              all.slice(0, 4).map((step) => ({ ...step, kind: "put" as const })),
              { partial: false, batchRows },
            );
            for (const { rows } of first.batches) await send(writer, rows, false);
            existing = first.state;
          }
          await using writer = await opened(target);
          const history = historyOf(target, all, { partial: partialUpdates, batchRows, ...(existing && { existing }) });
          for (const { rows, again } of history.batches) {
            for (const repeat of again ? [false, true] : [false]) {
              const attempt = repeat ? 2 : 1;
              const outcomes = await send(
                writer,
                rows.map((each) => ({ ...each, attempt })),
                all.length % 2 === 0,
              );
              expect(outcomes, caseName(of)).toEqual(rows.map(() => ({ status: "delivered" })));
            }
          }
          if (of.mode === "event") {
            if (events) expect([...(await events(target))].sort()).toEqual([...history.ids].sort());
          } else if (state) {
            const fields = target.shape.fields.map(({ name }) => name);
            const [actual, wanted] = [await state(target), history.state].map((each) => plainState(each, fields));
            expect(actual, caseName(of)).toEqual(wanted);
          }
        }),
        { numRuns: RUNS, endOnFailure: true },
      );
    }
  });

  test("a row near the size limit is taken, or refused for good", async () => {
    const target = targetFor(UPSERT);
    await using writer = await opened(target);
    const bytes = Math.floor(Math.min(destination.limits.batchBytes, 8_388_608) * 0.9);
    const large = row(target, "1", `${canary}${"x".repeat(bytes - canary.length)}`);
    try {
      const [outcome] = await send(writer, [large], false);
      if (outcome?.status === "rejected") note(outcome.error);
      else expect(outcome).toEqual({ status: "delivered" });
    } catch (error) {
      expect(note(error).consequence).toBe("row-permanent");
    }
  });

  test("one refused row is told from the good ones", async () => {
    const refuse = able("refuse");
    if (!refuse) return;
    const target = targetFor(UPSERT);
    await using writer = await opened(target);
    await refuse(target, "2");
    const rows = ["1", "2", "3"].map((id) => row(target, id));
    const outcomes: Outcome[] = [];
    // As the engine does it: a batch that is refused as a whole is halved down to the row.
    const write = async (part: readonly Delivery[]): Promise<void> => {
      try {
        const got = await send(writer, part, false);
        expect(got).toHaveLength(part.length);
        outcomes.push(...got);
      } catch (error) {
        const { consequence } = note(error);
        expect(consequence).toBe("row-permanent");
        if (part.length === 1) outcomes.push({ status: "rejected", error: error as TailraceError });
        else for (const each of part) await write([each]);
      }
    };
    const { batchRows } = destination.limits;
    for (let at = 0; at < rows.length; at += batchRows) await write(rows.slice(at, at + batchRows));
    expect(outcomes.map(({ status }) => status)).toEqual(["delivered", "rejected", "delivered"]);
    for (const outcome of outcomes) {
      if (outcome.status !== "rejected") continue;
      expect(note(outcome.error).consequence).toBe("row-permanent");
    }
    if (counterpart.state) expect([...(await counterpart.state(target)).keys()].sort()).toEqual(["1", "3"]);
  });

  test("progress is stored with the rows, or neither is", async () => {
    const target = targetFor(UPSERT);
    await using writer = await opened(target);
    const { transactional } = writer;
    if (transactional === undefined) return;
    const [refuse, state] = [able("refuse"), able("state")];
    if (!refuse || !state) throw new Error("a transactional writer needs a harness with `refuse` and `state`");
    const load = (): Promise<string | null> => transactional.load(neverAborted());
    const keys = async (): Promise<string[]> => [...(await state(target)).keys()].sort();
    expect(await load()).toBeNull();
    await transactional.writeWith([row(target, "1")], "progress 1", neverAborted());
    expect(await load()).toBe("progress 1");
    await refuse(target, "9");
    await expect(
      transactional
        .writeWith([row(target, "2"), row(target, "9")], "progress 2", neverAborted())
        .catch((error: unknown) => {
          throw note(error);
        }),
    ).rejects.toMatchObject({ consequence: "row-permanent" });
    expect([await load(), await keys()]).toEqual(["progress 1", ["1"]]);
    await transactional.writeWith([row(target, "2")], "progress 3", neverAborted());
    expect([await load(), await keys()]).toEqual(["progress 3", ["1", "2"]]);
    // Another process sees it too.
    await using other = create();
    await using after = await opened(target, other);
    expect(await after.transactional?.load(neverAborted())).toBe("progress 3");
  });

  test("an aborted signal ends a write that waits, and one that has not begun", async () => {
    const target = targetFor(UPSERT);
    await using writer = await opened(target);
    await send(writer, [row(target, "1")], false);
    const stall = able("stall");
    if (!stall) return;
    const before = AbortSignal.abort();
    await expect(writer.write([row(target, "2")], before)).rejects.toThrow();
    const resume = await stall(target);
    const abort = new AbortController();
    const waiting = writer.write([row(target, "3")], abort.signal).then(
      () => "written",
      () => "ended",
    );
    const soon = new Promise((resolve) => setImmediate(resolve, "waits"));
    expect(await Promise.race([waiting, soon])).toBe("waits");
    abort.abort();
    expect(await waiting).toBe("ended");
    await resume();
    // And it can be used again.
    expect(await send(writer, [row(target, "4")], false)).toEqual([{ status: "delivered" }]);
  });

  test("what cannot be reached is waited for, and told by check", async () => {
    const down = able("down");
    if (!down) return;
    await using other = create();
    const target = targetFor(UPSERT);
    await using writer = await opened(target, other);
    await send(writer, [row(target, "1")], false);
    const up = await down();
    const failed = await send(writer, [row(target, "2")], false).then(
      () => null,
      (error: unknown) => note(error),
    );
    expect(["transient", "unknown-outcome"]).toContain(failed?.consequence);
    const findings = await other.check([target], neverAborted());
    said.push(JSON.stringify(findings));
    expect(findings.some(({ level }) => level === "error")).toBe(true);
    await up();
    await eventually(async () => {
      const outcomes = await send(writer, [row(target, "2")], false).catch((error: unknown) => [note(error)]);
      return outcomes.some((each) => "status" in each && each.status === "delivered");
    });
  });

  test("disposing closes what it opened", async () => {
    // A counterpart of its own, so that nothing else is connected to it.
    await using own = await harness.start(secret);
    {
      await using other = create(own);
      const target = targetFor(UPSERT, false, own);
      await using writer = await opened(target, other);
      await send(writer, [row(target, "1")], false);
      if (harness.waived.down === undefined) expect(await own.connections()).toBeGreaterThan(0);
    }
    await eventually(async () => (await own.connections()) === 0);
  });

  // Last: it looks at everything that the tests above have provoked.
  test("no secret and no row value is in a log line, an error or a finding", () => {
    const everything = [...said, ...log.lines];
    for (const word of [secret, canary, Buffer.from(secret).toString("base64")]) {
      expect(everything.filter((text) => text.includes(word))).toEqual([]);
    }
  });
}

function casesOf(modes: Destination["capabilities"]["modes"], deletes: Destination["capabilities"]["deletes"]): Case[] {
  return modes.flatMap((mode): Case[] => {
    if (mode !== "mirror") return [{ mode, onDelete: { kind: "ignore" } }];
    return deletes.map((kind) => ({
      mode,
      onDelete: kind === "archive" ? { kind, fields: { archived: true } } : { kind },
    }));
  });
}
