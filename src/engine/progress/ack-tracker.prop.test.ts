import fc from "fast-check";
import { expect, test } from "vitest";
import { AckTracker, type Group } from "./ack-tracker.ts";

// Places are numbers here: item i of the whole stream is place i + 1; a group may end some places after its last item.
interface Plan {
  readonly groups: readonly { readonly items: number; readonly gap: number }[];
  readonly order: readonly number[];
}

const plan: fc.Arbitrary<Plan> = fc
  .array(fc.record({ items: fc.integer({ min: 0, max: 6 }), gap: fc.integer({ min: 0, max: 2 }) }), {
    minLength: 1,
    maxLength: 12,
  })
  .chain((groups) => {
    const total = groups.reduce((sum, { items }) => sum + items, 0);
    return fc.record({
      groups: fc.constant(groups),
      order: fc.shuffledSubarray(Array.from({ length: total }, (_, i) => i)),
    });
  });

/** What must be reached when `finished` items are: the model to compare with. */
function expected(
  layout: readonly { first: number; items: number; places: number[]; end: number }[],
  finished: ReadonlySet<number>,
): number {
  let reached = 0;
  for (const group of layout) {
    for (let i = 0; i < group.items; i += 1) {
      if (!finished.has(group.first + i)) return reached;
      reached = group.places[i]!;
    }
    reached = group.end;
  }
  return reached;
}

function build(groups: Plan["groups"]) {
  const tracker = new AckTracker(0);
  const items: { group: Group<number>; index: number }[] = [];
  let place = 0;
  const layout = groups.map(({ items: count, gap }) => {
    const first = items.length;
    const places = Array.from({ length: count }, () => (place += 1));
    place += gap;
    const end = place;
    const group = tracker.add(count, (index) => places[index]!, end);
    for (let index = 0; index < count; index += 1) items.push({ group, index });
    return { first, items: count, places, end };
  });
  return { tracker, items, layout };
}

test("reached is the end of the longest finished prefix, in whatever order items finish", () => {
  fc.assert(
    fc.property(plan, ({ groups, order }) => {
      const { tracker, items, layout } = build(groups);
      const finished = new Set<number>();
      let last = tracker.reached;
      expect(last).toBe(expected(layout, finished));
      for (const item of order) {
        items[item]!.group.done(items[item]!.index);
        finished.add(item);
        expect(tracker.reached).toBe(expected(layout, finished));
        expect(tracker.reached).toBeGreaterThanOrEqual(last);
        last = tracker.reached;
      }
      expect(tracker.idle).toBe(finished.size === items.length);
    }),
    { numRuns: 500 },
  );
});

test("reachedWith supposes, and changes nothing", () => {
  fc.assert(
    fc.property(plan, fc.integer({ min: 0, max: 40 }), ({ groups, order }, cut) => {
      const { tracker, items, layout } = build(groups);
      const before = order.slice(0, cut);
      for (const item of before) items[item]!.group.done(items[item]!.index);
      const now = tracker.reached;
      const supposed = order.slice(cut);
      expect(tracker.reachedWith(supposed.map((item) => items[item]!))).toBe(expected(layout, new Set(order)));
      expect(tracker.reached).toBe(now);
      for (const item of supposed) items[item]!.group.done(items[item]!.index);
      expect(tracker.reached).toBe(expected(layout, new Set(order)));
    }),
    { numRuns: 500 },
  );
});

test("an item with two deliveries is finished with the second", () => {
  const tracker = new AckTracker(0);
  const group = tracker.add(1, () => 1, 1);
  group.alsoWaits(0);
  group.done(0);
  expect(tracker.reached).toBe(0);
  group.done(0);
  expect(tracker.reached).toBe(1);
});
