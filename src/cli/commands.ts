import type { Command } from "./command.ts";
import { run } from "./commands/run.ts";

/** In the order of the help. */
export const COMMANDS: readonly Command[] = [run];
