import { hostname, userInfo } from "node:os";
import process from "node:process";
import type { Config } from "../../app/config/config.ts";
import type { FailureQuery } from "../../contracts/failures.ts";
import type { FailureChoice, StateStore } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import { configOf, oneSync, subcommand, wholeNumber } from "../arguments.ts";
import { type Arguments, type Command, type Context, EXIT, UsageError } from "../command.ts";
import { confirmed } from "../confirm.ts";
import { QUERY_OPTIONS, queryOf } from "../failure-query.ts";
import { jsonLine } from "../json.ts";
import { plainLetter, renderDropped, renderFailures, renderGroups, renderLetters } from "../render/failures.ts";
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
  failures drop SYNC ID…      give them up, without sending; a record of each stays (list --dropped)

Instead of IDs, also for list; what is given must all hold:
  --all              retry, drop: every failure of the sync
  --code CODE        this error code; may be repeated
  --message TEXT     a part of the message or of the destination's answer; capitals do not matter
  --op OP            this operation (upsert, delete, …); may be repeated
  --key VALUE        the row's key; for a key of several columns once for each, in their order
  --since TIME       failed then or later: 2026-11-24, 2026-11-24T08:00Z, or how long ago: 2h, 3d
  --until TIME       failed before

  -y, --yes          retry, drop without IDs: do not ask; needed where there is no terminal
  --why TEXT         drop: the reason, for the record
  --dropped          list: what was dropped, by whom, when and why
  --values           show: the row's values too, where they are kept (modes insert and event)
  --limit N          list: at most so many (default: ${PER_PAGE})
  --offset N         list: leave out so many of the newest
  --json             list: {"sync","total","groups":[…],"failures":[…],"offset"}; --dropped: {"sync","total","dropped":[…]};
                     show: a line a failure; retry, drop: {"sync","request","outcome","failures"}

retry and drop ask the process that runs the sync and wait up to 10 seconds for it; if nobody runs it, the next run does it.
`,
  options: {
    ...QUERY_OPTIONS,
    all: { type: "boolean" },
    yes: { type: "boolean", short: "y" },
    why: { type: "string" },
    dropped: { type: "boolean" },
    values: { type: "boolean" },
    limit: { type: "string" },
    offset: { type: "string" },
  },
  async run(context, { values, positionals: [word, name, ...ids] }) {
    const what = subcommand(word, ["list", "show", "retry", "drop"], null);
    const config = await configOf(context);
    const sync = oneSync(config, name === undefined ? [] : [name]);
    const query = queryOf(values, Date.now());
    switch (what) {
      case "list":
        if (ids.length > 0) throw new UsageError("`failures list` takes no IDs; `failures show` does.");
        if (values["dropped"] === true && query !== null)
          throw new UsageError("`--dropped` lists all that were dropped; it takes only --limit and --offset.");
        return values["dropped"] === true
          ? listDropped(context, config, sync, values)
          : list(context, config, sync, query ?? undefined, values);
      case "show":
        return show(context, config, sync, ids, values["values"] === true);
      default: {
        const choice = chosen(ids, query, values["all"] === true, what);
        return ask(context, config, sync, what, choice, values);
      }
    }
  },
};

async function openedReadOnly(context: Context, config: Config): Promise<StateStore> {
  const { openState } = await import("../../app/project.ts");
  return openState(config, context.log("silent", "err"), { readOnly: true });
}

async function list(
  context: Context,
  config: Config,
  sync: Sync,
  where: FailureQuery | undefined,
  values: Arguments["values"],
): Promise<number> {
  const limit = wholeNumber(values, "limit", PER_PAGE);
  const offset = wholeNumber(values, "offset", 0);
  const { listFailures } = await import("../../app/failures.ts");
  await using store = await openedReadOnly(context, config);
  const page = await listFailures(store, sync.name, { where, limit, offset });
  if (context.json) {
    context.out(jsonLine({ ...page, failures: page.failures.map((letter) => plainLetter(letter, false)) }));
  } else context.out(renderFailures(page, painter(context.color), where !== undefined));
  return EXIT.ok;
}

async function listDropped(
  context: Context,
  config: Config,
  { name }: Sync,
  values: Arguments["values"],
): Promise<number> {
  const page = { limit: wholeNumber(values, "limit", PER_PAGE), offset: wholeNumber(values, "offset", 0) };
  await using store = await openedReadOnly(context, config);
  const { total, records } = await store.droppedFailures(name, page);
  if (context.json) {
    const dropped = records.map(({ failedAtMs, droppedAtMs, ...rest }) => ({
      ...rest,
      failedAt: new Date(failedAtMs).toISOString(),
      droppedAt: new Date(droppedAtMs).toISOString(),
    }));
    context.out(jsonLine({ sync: name, total, dropped, offset: page.offset }));
  } else context.out(renderDropped(name, { total, records }, page, painter(context.color)));
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
  choice: FailureChoice,
  values: Arguments["values"],
): Promise<number> {
  const count = await agreed(context, config, sync, kind, choice, values["yes"] === true);
  if (count === null) {
    context.err("Nothing was done.\n");
    return EXIT.attention;
  }
  if (count === 0) {
    context.out(
      context.json
        ? jsonLine({ sync: sync.name, request: kind, outcome: "taken", failures: 0 })
        : `${sync.name} has no such failures.\n`,
    );
    return EXIT.ok;
  }
  const what = plural(count, "failure");
  const why = typeof values["why"] === "string" ? values["why"] : null;
  return request(
    context,
    config,
    sync.name,
    kind === "retry" ? { kind, failures: choice } : { kind, failures: choice, by: whoAmI(), why },
    kind === "retry"
      ? {
          taken: `${what} sent again; what is refused again stays listed.`,
          "next run": `the next run sends ${what} again.`,
        }
      : { taken: `${what} dropped.`, "next run": `the next run drops ${what}.` },
    { failures: count },
  );
}

/** How many it is about; null: the user does not want it. IDs are not asked about: whoever names them knows which they are. */
async function agreed(
  context: Context,
  config: Config,
  sync: Sync,
  kind: "retry" | "drop",
  choice: FailureChoice,
  yes: boolean,
): Promise<number | null> {
  if (Array.isArray(choice)) return (await found(context, config, sync, choice)).length;
  const { countFailures } = await import("../../app/failures.ts");
  await using store = await openedReadOnly(context, config);
  const { groups, total } = await countFailures(store, sync.name, choice as FailureQuery);
  if (total === 0) return 0;
  const does = kind === "retry" ? "Send" : "Drop";
  const question = `${renderGroups(groups, painter(context.color))}${does} ${plural(total, "failure")} of ${sync.name}${kind === "retry" ? " again" : " for good"}?`;
  return (await confirmed(context, yes, question)) ? total : null;
}

/** The letters of these ids; a UsageError names those that there are none for. */
async function found(context: Context, config: Config, sync: Sync, ids: readonly string[]) {
  const { findFailures } = await import("../../app/failures.ts");
  await using store = await openedReadOnly(context, config);
  const { found: letters, missing } = await findFailures(store, sync.name, ids);
  if (missing.length > 0) throw new UsageError(`${sync.name} has no failure ${missing.join(", ")}.`);
  return letters;
}

/** What fails from now on is not what was asked about. */
function chosen(ids: readonly string[], query: FailureQuery | null, all: boolean, what: string): FailureChoice {
  const ways = [ids.length > 0, query !== null, all].filter(Boolean).length;
  if (ways > 1) throw new UsageError("Give IDs, or --all, or what they have in common (--code, --message, …).");
  if (ways === 0) {
    throw new UsageError(
      `Which failures? Give IDs, or what they have in common (--code, --message, …), or --all to ${what} every one.`,
    );
  }
  if (ids.length > 0) return [...new Set(ids)];
  const nowMs = Date.now();
  return { ...query, untilMs: Math.min(query?.untilMs ?? Infinity, nowMs + 1) };
}

/** For the record of a drop. */
function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container's user may have no name.
    return `uid ${process.getuid?.() ?? "?"}@${hostname()}`;
  }
}
