// Commits and loads against a model in memory, with crashes and hand-overs in between.
import fc from "fast-check";
import { expect } from "vitest";
import type { DeadLetter, StateChange, StateStore, SyncState } from "../../src/contracts/state.ts";
import { checkpointAt, letterOf } from "../support/state-values.ts";
import { never, type StateHarness } from "./state-harness.ts";

type Step =
  | { readonly kind: "commit"; readonly change: StateChange }
  | { readonly kind: "crash" }
  | { readonly kind: "hand over" };

const position = fc.integer({ min: 0, max: 40 });
const change: fc.Arbitrary<StateChange> = fc.record(
  {
    checkpoint: fc.oneof(
      { weight: 1, arbitrary: fc.constant(null) },
      {
        weight: 6,
        arbitrary: fc
          .tuple(
            position,
            fc.constantFrom("i1", "i2"),
            fc.option(
              fc.record({
                generation: fc.nat(5),
                after: fc.option(fc.array(fc.string(), { maxLength: 2 })),
                rows: fc.nat(),
              }),
            ),
          )
          .map(([at, incarnation, backfill]) => checkpointAt(at, { incarnation, backfill })),
      },
    ),
    reset: fc.boolean(),
    deadLetters: fc.array(
      fc
        .tuple(fc.constantFrom("a", "b", "c", "d"), fc.string(), fc.nat())
        .map(([id, message, attempts]) => letterOf(id, { message, attempts })),
      { maxLength: 3 },
    ),
    resolved: fc.array(fc.constantFrom("a", "b", "c", "d"), { maxLength: 2 }),
    paused: fc.boolean(),
    stopped: fc.option(fc.record({ code: fc.constant("destination.config" as const), message: fc.string() })),
    counts: fc.record({ delivered: fc.nat(1000), rejected: fc.nat(1000) }),
    writerMemory: fc.option(fc.string()),
  },
  { requiredKeys: [] },
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: change.map((value) => ({ kind: "commit" as const, change: value })) },
  { weight: 1, arbitrary: fc.constantFrom<Step>({ kind: "crash" }, { kind: "hand over" }) },
);

export async function modelTest(harness: StateHarness, first: StateStore): Promise<void> {
  let store = first;
  let run = 0;
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 25 }), async (steps) => {
      // A sync of its own for each run: opening a state is the slow part.
      run += 1;
      const sync = `model ${run}`;
      let lease = await store.acquire(sync, never);
      let state: SyncState | null = null;
      const letters = new Map<string, DeadLetter>();
      for (const one of steps) {
        if (one.kind === "crash") {
          await harness.crash();
          store = await harness.open();
          lease = await store.acquire(sync, never);
        } else if (one.kind === "hand over") {
          await lease[Symbol.asyncDispose]();
          lease = await store.acquire(sync, never);
        } else {
          const after = modelled(state, one.change);
          if (after === null) {
            await expect(lease.commit(one.change)).rejects.toMatchObject({ code: "internal.defect" });
          } else {
            await lease.commit(one.change);
            state = after;
            for (const id of one.change.resolved ?? []) letters.delete(id);
            for (const dead of one.change.deadLetters ?? []) letters.set(dead.id, dead);
          }
        }
        expect(await lease.load()).toEqual(state);
        const expected = [...letters.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
        expect(await store.failures(sync)).toEqual(expected);
      }
      await lease[Symbol.asyncDispose]();
    }),
    { numRuns: 40 },
  );
}

/** null: refused. */
function modelled(before: SyncState | null, change: StateChange): SyncState | null {
  const state = before ?? {
    checkpoint: null,
    paused: false,
    stopped: null,
    generation: 0,
    counts: { delivered: 0, rejected: 0 },
    heldDeletes: null,
    writerMemory: null,
  };
  const next = change.checkpoint === undefined ? state.checkpoint : change.checkpoint;
  if (change.reset !== true && state.checkpoint !== null && (next?.position ?? "") < state.checkpoint.position)
    return null;
  return {
    checkpoint: next,
    paused: change.paused ?? state.paused,
    stopped: change.stopped === undefined ? state.stopped : change.stopped,
    generation: state.generation + Number(change.reset ?? false),
    counts: {
      delivered: state.counts.delivered + (change.counts?.delivered ?? 0),
      rejected: state.counts.rejected + (change.counts?.rejected ?? 0),
    },
    heldDeletes: change.reset === true ? null : state.heldDeletes,
    writerMemory: change.writerMemory === undefined ? state.writerMemory : change.writerMemory,
  };
}
