import { type Command, EXIT, UsageError } from "../command.ts";

export const demo: Command = {
  name: "demo",
  summary: "the whole thing on this machine: a PostgreSQL, live changes, a receiver",
  usage: "[--exit]",
  help: `
Starts an embedded PostgreSQL with a small shop and something that writes to it, runs four syncs (abandoned carts and big orders as
webhooks; users, and golden users joined from three tables, mirrored into another database), and shows each change's way from commit to acceptance. Leaves nothing behind.

  --exit             a bounded run: some thousands of changes, then a comparison of the destinations with the source, row by row; exits
                     with 1 if anything differs
  --changes N        how many changes before --exit ends it (default: 5000)
  --rate N           business events a second (default: 20; with --exit: 400)
  --seed N           another shop (default: 1)
  --json             with --exit: the summary as JSON on standard output
`,
  options: {
    exit: { type: "boolean" },
    changes: { type: "string" },
    rate: { type: "string" },
    seed: { type: "string" },
  },
  async run(context, { values }) {
    const bounded = values["exit"] === true;
    const { demo: runDemo } = await import("../demo/demo.ts");
    const summary = await runDemo(context, {
      changes: bounded ? number(values["changes"], "--changes", 5000) : null,
      perSecond: number(values["rate"], "--rate", bounded ? 400 : 20),
      seed: number(values["seed"], "--seed", 1),
    });
    if (context.json) context.out(`${JSON.stringify(summary)}\n`);
    else {
      const { golden_users: golden } = summary;
      context.out(
        `\n${summary.changes} changes committed, ${summary.delivered} deliveries accepted; ` +
          `${summary.repeated} sent twice (same id) because the receiver dropped its answer\n` +
          `commit → accepted: p50 ${summary.p50_ms ?? "–"} ms, p99 ${summary.p99_ms ?? "–"} ms (those that the receiver failed on purpose included)\n` +
          `golden users, joined from three tables: ${golden.rows}; ` +
          `commit → accepted: p50 ${golden.p50_ms ?? "–"} ms, p99 ${golden.p99_ms ?? "–"} ms\n` +
          `lost: ${summary.lost}\n`,
      );
    }
    return summary.lost === 0 ? EXIT.ok : EXIT.attention;
  },
};

function number(value: unknown, name: string, otherwise: number): number {
  if (value === undefined) return otherwise;
  const parsed = Number(value);
  if (!Number.isInteger(parsed) || parsed < 1) throw new UsageError(`${name} takes a whole number from 1.`);
  return parsed;
}
