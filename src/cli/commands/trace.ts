import { configOf, oneSync, wholeNumber } from "../arguments.ts";
import { type Command, EXIT, UsageError } from "../command.ts";
import { jsonLine } from "../json.ts";
import { plainLetter } from "../render/failures.ts";
import { painter } from "../render/paint.ts";
import { plainEvent, renderTrace } from "../render/trace.ts";

const MOST = 100;

export const trace: Command = {
  name: "trace",
  summary: "what happened to one row, with old and new values",
  usage: "SYNC KEY…",
  help: `
Where is my row? Shows what a history on this machine has about it: captured from the source, sent, answered, tried again, kept as
a failure, with the values. KEY is the row's key; for a key of several columns one word for each, in the key's order.

  --limit N          at most the last N events (default: ${MOST})
  --json             {"sync","key","history","since","events":[…],"failures":[…]}

The history is bounded (\`history: { bytes: 64MB }\`), holds rows' values, and can be turned off (\`history: off\`). Rows that come faster
than it takes them are left out; the trace says where that was, and how many.
`,
  options: { limit: { type: "string" } },
  async run(context, { values, positionals: [name, ...key] }) {
    const config = await configOf(context);
    const sync = oneSync(config, name === undefined ? [] : [name]);
    if (key.length === 0) throw new UsageError("Which row? Give the value of its key, or of each column of its key.");
    const most = wholeNumber(values, "limit", MOST, 1);
    const { openState } = await import("../../app/project.ts");
    const { readTrace } = await import("../../app/history/trace.ts");
    await using store = await openState(config, context.log("silent", "err"), { readOnly: true });
    const failures = await store.failures(sync.name, { where: { key }, limit: most });
    const history = config.history?.path ?? null;
    const found = history === null ? { events: [], since: null } : await readTrace(history, sync.name, key, most);
    if (context.json) {
      context.out(
        jsonLine({
          sync: sync.name,
          key,
          history: history === null ? "off" : "on",
          since: found.since === null ? null : new Date(found.since).toISOString(),
          events: found.events.map(plainEvent),
          failures: failures.map((letter) => plainLetter(letter, false)),
        }),
      );
    } else
      context.out(renderTrace(sync.name, key, { ...found, off: history === null }, failures, painter(context.color)));
    return EXIT.ok;
  },
};
