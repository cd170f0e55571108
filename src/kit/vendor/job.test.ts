import { expect, test } from "vitest";
import { delivery, shapeOf } from "../../../test/support/deliveries.ts";
import { DELIVERED, type Delivery, type WriterMemory } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { type JobState, Jobs } from "./job.ts";
import type { Session } from "./session.ts";

const shape = shapeOf({ id: "bigint" });
const rows = (...ids: string[]): Delivery[] => ids.map((id) => delivery({ shape, values: [id], position: `p-${id}` }));

function memory(text: string | null = null): WriterMemory & { kept: (string | null)[] } {
  const kept: (string | null)[] = [];
  return { text, kept, keep: async (given) => void kept.push(given) };
}

/** A vendor whose jobs end after so many looks; notes what is asked of it. */
function vendor(looks: Readonly<Record<string, readonly JobState[]>> = {}) {
  const asked: string[] = [];
  const waited: number[] = [];
  const left = new Map(Object.entries(looks).map(([id, states]) => [id, [...states]]));
  let submitted = 0;
  const session = {
    signal: new AbortController().signal,
    pace: { request: async () => {}, wait: async (ms: number) => void waited.push(ms) },
  } as unknown as Session;
  const steps = {
    rows: 100,
    submit: async (given: readonly Delivery[]) => {
      submitted += 1;
      asked.push(`submit ${given.map(({ key }) => key[0]).join()}`);
      return `job-${submitted}`;
    },
    poll: async (id: string): Promise<JobState> => {
      asked.push(`poll ${id}`);
      return left.get(id)?.shift() ?? { kind: "ended" };
    },
    results: async (id: string, given: readonly Delivery[]) => {
      asked.push(`results ${id}`);
      return given.map(() => DELIVERED);
    },
  };
  return { asked, waited, session, steps };
}

test("a job is kept in memory before it is waited for, looked at less and less often, and forgotten with its results", async () => {
  const { asked, waited, session, steps } = vendor({
    "job-1": [{ kind: "running" }, { kind: "running" }, { kind: "running", afterMs: 7 }, { kind: "ended" }],
  });
  const kept = memory();
  const outcomes = await new Jobs(kept).operation(steps).send(rows("1", "2"), session);
  expect(outcomes).toEqual([DELIVERED, DELIVERED]);
  expect(asked).toEqual(["submit 1,2", "poll job-1", "poll job-1", "poll job-1", "poll job-1", "results job-1"]);
  expect(waited).toEqual([1000, 1500, 7]);
  expect(kept.kept).toEqual([expect.stringContaining("job-1"), null]);
});

test("the same rows find their job again when looking at it failed", async () => {
  const { asked, session, steps } = vendor();
  let failures = 1;
  const operation = new Jobs(memory()).operation({
    ...steps,
    poll: async (id) => {
      failures -= 1;
      if (failures >= 0) throw new TailraceError("destination.unavailable", "503");
      return steps.poll(id);
    },
  });
  await expect(operation.send(rows("1"), session)).rejects.toThrow("503");
  await operation.send(rows("1"), session);
  expect(asked).toEqual(["submit 1", "poll job-1", "results job-1"]);
});

test("after a restart, nothing is submitted before the jobs of before have ended", async () => {
  const before = vendor({ "job-1": [{ kind: "running" }] });
  const kept = memory();
  const stopped = new Jobs(kept).operation({
    ...before.steps,
    poll: async () => {
      throw new Error("killed");
    },
  });
  await expect(stopped.send(rows("1", "2"), before.session)).rejects.toThrow("killed");
  const text = kept.kept.at(-1)!;
  expect(text).not.toBeNull();

  // Another batch than before: its rows are submitted once the old job can write nothing any more.
  const after = vendor({ "job-1": [{ kind: "running" }, { kind: "ended" }] });
  await new Jobs(memory(text)).operation(after.steps).send(rows("1", "3"), after.session);
  expect(after.asked).toEqual(["poll job-1", "poll job-1", "submit 1,3", "poll job-1", "results job-1"]);

  // The very same rows: the job that they are in is theirs.
  const same = vendor();
  await new Jobs(memory(text)).operation(same.steps).send(rows("1", "2"), same.session);
  expect(same.asked.filter((each) => each.startsWith("submit"))).toEqual([]);
  expect(same.asked.at(-1)).toBe("results job-1");
});

test("a job that the vendor does not know any more is sent again", async () => {
  const { asked, session, steps } = vendor({ "job-1": [{ kind: "lost" }] });
  const operation = new Jobs(memory()).operation(steps);
  await expect(operation.send(rows("1"), session)).rejects.toMatchObject({ code: "destination.unknown" });
  await operation.send(rows("1"), session);
  expect(asked).toEqual(["submit 1", "poll job-1", "submit 1", "poll job-2", "results job-2"]);
});

test("an operation that is no job waits for the jobs of before as well", async () => {
  const { asked, session, steps } = vendor({ "job-7": [{ kind: "running" }, { kind: "ended" }] });
  const jobs = new Jobs(memory('{"batch":"job-7"}'));
  jobs.operation(steps);
  await Promise.all([jobs.settle(session), jobs.settle(session)]);
  await jobs.settle(session);
  expect(asked).toEqual(["poll job-7", "poll job-7"]);
});

test("rows of a job that could not be looked at are not sent beside it in another batch", async () => {
  const { asked, session, steps } = vendor({ "job-1": [{ kind: "running" }, { kind: "ended" }] });
  let failures = 1;
  const operation = new Jobs(memory()).operation({
    ...steps,
    poll: async (id) => {
      failures -= 1;
      if (failures >= 0) throw new TailraceError("destination.unavailable", "503");
      return steps.poll(id);
    },
  });
  await expect(operation.send(rows("1", "2"), session)).rejects.toThrow("503");
  await operation.send(rows("1", "3"), session);
  expect(asked).toEqual(["submit 1,2", "poll job-1", "poll job-1", "submit 1,3", "poll job-2", "results job-2"]);
});
