import process from "node:process";
import { createInterface } from "node:readline/promises";
import { type Context, UsageError } from "./command.ts";

/** Asks on a terminal; elsewhere, and with `--json`, only `--yes` will do. False: declined. */
export async function confirmed(context: Context, yes: boolean, question: string): Promise<boolean> {
  if (yes) return true;
  if (!context.terminal || !process.stdin.isTTY || context.json) {
    throw new UsageError("There is no terminal to ask on: give --yes to confirm.");
  }
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  try {
    const answer = await prompt.question(`${question} [y/N] `, { signal: context.signal });
    return /^y(es)?$/i.test(answer.trim());
  } finally {
    prompt.close();
  }
}
