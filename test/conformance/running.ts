import { setTimeout as delay } from "node:timers/promises";
import type { Delivery, Outcome, Writer } from "../../src/contracts/destination.ts";
import type { TailraceError } from "../../src/contracts/errors.ts";
import type { Log, LogFields } from "../../src/contracts/log.ts";

export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}

let steps = 0;

/** By `writeWith` where the writer has it and `transactionally` is set, as the engine would; else by `write`. */
export function send(
  writer: Writer,
  batch: readonly Delivery[],
  transactionally: boolean,
): Promise<readonly Outcome[]> {
  if (!transactionally || writer.transactional === undefined) return writer.write(batch, neverAborted());
  // A repeat of a batch comes with the same progress.
  const last = batch.at(-1);
  return writer.transactional.writeWith(batch, `after ${last?.id ?? (steps += 1)}`, neverAborted());
}

/** Everything of an error that reaches a log, a state file or a screen. */
export function readable(error: TailraceError): string {
  return [error.code, error.message, error.answer ?? "", error.hint, error.stack ?? ""].join("\n");
}

/** Keeps every line at every level. */
export function canaryLog(): { readonly log: Log; readonly lines: readonly string[] } {
  const lines: string[] = [];
  const make = (fixed: LogFields): Log => {
    const add = (message: string, fields: LogFields = {}): void => {
      lines.push(JSON.stringify({ message, ...fixed, ...fields }));
    };
    return { debug: add, info: add, warn: add, error: add, child: (fields) => make({ ...fixed, ...fields }) };
  };
  return { log: make({}), lines };
}

/** Asks again until it holds: for what another process does in its own time. */
export async function eventually(condition: () => Promise<boolean>, withinMs = 10_000): Promise<void> {
  const giveUpAt = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > giveUpAt) throw new Error(`not within ${withinMs} ms: ${String(condition)}`);
    await delay(10);
  }
}
