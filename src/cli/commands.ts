import type { Command } from "./command.ts";
import { demo } from "./commands/demo.ts";
import { run } from "./commands/run.ts";

/** In the order of the help. */
export const COMMANDS: readonly Command[] = [run, demo];
