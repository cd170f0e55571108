import type { Command } from "./command.ts";
import { alerts } from "./commands/alerts.ts";
import { check } from "./commands/check.ts";
import { demo } from "./commands/demo.ts";
import { destinations } from "./commands/destinations.ts";
import { explain } from "./commands/explain.ts";
import { failures } from "./commands/failures.ts";
import { init } from "./commands/init.ts";
import { pause } from "./commands/pause.ts";
import { plan } from "./commands/plan.ts";
import { resume } from "./commands/resume.ts";
import { resync } from "./commands/resync.ts";
import { run } from "./commands/run.ts";
import { schema } from "./commands/schema.ts";
import { slots } from "./commands/slots.ts";
import { sources } from "./commands/sources.ts";
import { status } from "./commands/status.ts";
import { trace } from "./commands/trace.ts";

/** In the order of the help. What a command needs beyond its words it imports when it runs: help is there at once. */
export const COMMANDS: readonly Command[] = [
  init,
  check,
  plan,
  run,
  status,
  explain,
  resync,
  pause,
  resume,
  failures,
  alerts,
  trace,
  slots,
  schema,
  sources,
  destinations,
  demo,
];
