import type { Config } from "../app/config/config.ts";
import type { RequestOutcome } from "../app/requests.ts";
import type { SyncRequest } from "../contracts/state.ts";
import { type Context, EXIT } from "./command.ts";
import { jsonLine } from "./json.ts";

const WAIT_MS = 10_000;

/** How each outcome reads, of one kind of request. */
export type RequestWords = Readonly<Record<"taken" | "next run", string>>;

/** Leaves the request, waits for whoever runs the sync, and says what became of it; `facts` with `--json` only. */
export async function request(
  context: Context,
  config: Config,
  sync: string,
  wanted: SyncRequest,
  words: RequestWords,
  facts: Readonly<Record<string, number>> = {},
): Promise<number> {
  const { openState } = await import("../app/project.ts");
  const { leaveRequest } = await import("../app/requests.ts");
  await using store = await openState(config, context.log("silent", "err"));
  const outcome = await leaveRequest(store, sync, wanted, { signal: context.signal, waitMs: WAIT_MS });
  if (context.json) context.out(jsonLine({ sync, request: wanted.kind, outcome, ...facts }));
  else context.out(`${sync}: ${textOf(outcome, words)}\n`);
  return EXIT.ok;
}

function textOf(outcome: RequestOutcome, words: RequestWords): string {
  if (outcome === "slow") {
    return `asked; the process that runs it has not done it within ${WAIT_MS / 1000} s, and will when it can. \`tailrace status\` shows it.`;
  }
  return outcome === "taken" ? words.taken : `nobody runs it now: ${words["next run"]}`;
}
