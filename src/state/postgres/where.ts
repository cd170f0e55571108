import { TailraceError } from "../../contracts/errors.ts";
import { addressOf } from "../../kit/postgres/address.ts";
import type { ConnectionSettings } from "../../kit/postgres/settings.ts";

/** `host:port/database (schema NAME)`: what may be shown of where a state is. */
export function describeState(settings: ConnectionSettings, schema: string): string {
  const address = addressOf(settings);
  if ("problem" in address) throw new TailraceError("config.invalid", `\`state\`: ${address.problem}`);
  return `${address.host}:${address.port}/${address.database ?? address.user ?? ""} (schema ${schema})`;
}
