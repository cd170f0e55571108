import type { Config } from "../../app/config/config.ts";
import type { Sync } from "../../contracts/sync.ts";
import { configOf, oneSync, subcommand, wholeNumber } from "../arguments.ts";
import { type Arguments, type Command, type Context, EXIT, UsageError } from "../command.ts";
import { jsonLine } from "../json.ts";
import { plainLetter, renderFailures, renderLetters } from "../render/failures.ts";
import { painter } from "../render/paint.ts";
import { plural } from "../render/units.ts";
import { request } from "../request.ts";

const PER_PAGE = 20;

export const failures: Command = {
  name: "failures",
  summary: "rejected rows: list, show, retry, drop",
  usage: "list|show|retry|drop SYNC [ID…]",
  help: `
Rows that a destination refused for good are kept with the reason, and do not hold up the others.

  failures list SYNC          the reasons with their counts, then the failures, newest first
  failures show SYNC ID…      key, operation, reason, the destination's answer, attempts, time
  failures retry SYNC ID…     send them again: the row as it is now (modes insert and event: the change as it was)
  failures drop SYNC ID…      forget them, without sending

  --all              retry, drop: every failure of the sync, instead of IDs
  --values           show: the row's values too, where they are kept (modes insert and event)
  --limit N          list: at most so many (default: ${PER_PAGE})
  --offset N         list: leave out so many of the newest
  --json             list: {"sync","total","groups":[…],"failures":[…],"offset"}; show: a line a failure

retry and drop ask the process that runs the sync and wait up to 10 seconds for it; if nobody runs it, the next run does it.
`,
  options: {
    all: { type: "boolean" },
    values: { type: "boolean" },
    limit: { type: "string" },
    offset: { type: "string" },
  },
  async run(context, { values, positionals: [word, name, ...ids] }) {
    const what = subcommand(word, ["list", "show", "retry", "drop"], null);
    const config = await configOf(context);
    const sync = oneSync(config, name === undefined ? [] : [name]);
    switch (what) {
      case "list":
        if (ids.length > 0) throw new UsageError("`failures list` takes no IDs; `failures show` does.");
        return list(context, config, sync, values);
      case "show":
        return show(context, config, sync, ids, values["values"] === true);
      default:
        return ask(context, config, sync, what, chosen(ids, values["all"] === true, what));
    }
  },
};

async function list(context: Context, config: Config, sync: Sync, values: Arguments["values"]): Promise<number> {
  const limit = wholeNumber(values, "limit", PER_PAGE);
  const offset = wholeNumber(values, "offset", 0);
  const { openState } = await import("../../app/project.ts");
  const { listFailures } = await import("../../app/failures.ts");
  await using store = await openState(config, context.log("silent", "err"), { readOnly: true });
  const page = await listFailures(store, sync.name, { limit, offset });
  if (context.json) {
    context.out(jsonLine({ ...page, failures: page.failures.map((letter) => plainLetter(letter, false)) }));
  } else context.out(renderFailures(page, painter(context.color)));
  return EXIT.ok;
}

async function show(
  context: Context,
  config: Config,
  sync: Sync,
  ids: readonly string[],
  values: boolean,
): Promise<number> {
  if (ids.length === 0) throw new UsageError("Which failure? `tailrace failures list SYNC` shows their IDs.");
  const letters = await found(context, config, sync, ids);
  if (context.json) for (const letter of letters) context.out(jsonLine(plainLetter(letter, values)));
  else context.out(renderLetters(letters, values, painter(context.color)));
  return EXIT.ok;
}

async function ask(
  context: Context,
  config: Config,
  sync: Sync,
  kind: "retry" | "drop",
  ids: readonly string[] | "all",
): Promise<number> {
  if (ids !== "all") await found(context, config, sync, ids);
  const what = ids === "all" ? "all its failures" : plural(ids.length, "failure");
  return request(
    context,
    config,
    sync.name,
    { kind, ids },
    kind === "retry"
      ? {
          taken: `${what} sent again; what is refused again stays listed.`,
          "next run": `the next run sends ${what} again.`,
        }
      : { taken: `${what} dropped.`, "next run": `the next run drops ${what}.` },
  );
}

/** The letters of these ids; a UsageError names those that there are none for. */
async function found(context: Context, config: Config, sync: Sync, ids: readonly string[]) {
  const { openState } = await import("../../app/project.ts");
  const { findFailures } = await import("../../app/failures.ts");
  await using store = await openState(config, context.log("silent", "err"), { readOnly: true });
  const { found: letters, missing } = await findFailures(store, sync.name, ids);
  if (missing.length > 0) throw new UsageError(`${sync.name} has no failure ${missing.join(", ")}.`);
  return letters;
}

function chosen(ids: readonly string[], all: boolean, what: string): readonly string[] | "all" {
  if (all && ids.length > 0) throw new UsageError("Give IDs or --all, not both.");
  if (!all && ids.length === 0) throw new UsageError(`Which failures? Give IDs, or --all to ${what} every one.`);
  return all ? "all" : ids;
}
