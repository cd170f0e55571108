import { setTimeout as delay } from "node:timers/promises";
import type { SyncStatus } from "../../app/status.ts";
import { configOf, refuseMore } from "../arguments.ts";
import { type Command, type Context, EXIT } from "../command.ts";
import { jsonLine } from "../json.ts";
import { painter } from "../render/paint.ts";
import { renderStatus } from "../render/status.ts";

const EVERY_MS = 1000;

export const status: Command = {
  name: "status",
  summary: "a line a sync: phase, lag, rate, failures",
  usage: "[--watch]",
  help: `
What each sync of the configuration does now, as the process that runs it last said (about once a second): phase, lag (the age of
the oldest change that is not delivered), rate, latency from commit to acceptance, rows waiting, deliveries and failures so
far, the backfill's progress, and why it waits. A sync that no living process runs, or of which nothing was heard for
10 seconds, is "not running". Works beside a running Tailrace; writes nothing.

  -w, --watch        once a second, until Ctrl-C: redrawn on a terminal, else a JSON line each
  --json             {"syncs":[…],"ok":…}

A health check: exits with 1 when a sync is stopped, is not running, has heard nothing from its source for 30 seconds, or has more
lag than its \`max_lag\`. Which of the three it is, process, stream or progress, is in each sync's "signals". A paused sync is
well. With --watch: exits with 0.
`,
  options: { watch: { type: "boolean", short: "w" } },
  async run(context, { values, positionals }) {
    refuseMore(positionals[0]);
    const config = await configOf(context);
    const { openState } = await import("../../app/project.ts");
    const { readStatus } = await import("../../app/status.ts");
    await using store = await openState(config, context.log("silent", "err"), { readOnly: true });
    const read = () => readStatus(config, store, Date.now());
    if (values["watch"] === true) {
      await watch(context, read);
      return EXIT.ok;
    }
    const syncs = await read();
    const ok = syncs.every((sync) => sync.ok);
    context.out(context.json ? jsonLine({ syncs, ok }) : renderStatus(syncs, painter(context.color)));
    return ok ? EXIT.ok : EXIT.attention;
  },
};

async function watch(context: Context, read: () => Promise<readonly SyncStatus[]>): Promise<void> {
  const paint = painter(context.color);
  const redraw = context.terminal && !context.json;
  let drawn = 0;
  while (!context.signal.aborted) {
    const syncs = await read();
    if (redraw) {
      const text = renderStatus(syncs, paint);
      // Up to where the last one began, and away with what is there: there may be fewer lines now.
      context.out(`${drawn > 0 ? `\u001B[${drawn}A\u001B[J` : ""}${text}`);
      drawn = text.split("\n").length - 1;
    } else context.out(jsonLine({ syncs, ok: syncs.every((sync) => sync.ok) }));
    await delay(EVERY_MS, undefined, { signal: context.signal }).catch(() => {});
  }
}
