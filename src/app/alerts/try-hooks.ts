import { TailraceError } from "../../contracts/errors.ts";
import type { Config, ConfiguredAlert } from "../config/config.ts";
import { createHook } from "./hooks/hook.ts";
import { testMessage } from "./message.ts";

export interface HookTrial {
  readonly alert: string;
  readonly type: ConfiguredAlert["settings"]["type"];
  /** Why the test message did not arrive; null: it did. */
  readonly problem: string | null;
}

/** Sends a test message to each of these hooks, once. */
export async function tryHooks(
  config: Config,
  alerts: readonly ConfiguredAlert[],
  signal: AbortSignal,
): Promise<readonly HookTrial[]> {
  return Promise.all(
    alerts.map(async (alert) => {
      await using hook = createHook(alert, config.baseDirectory);
      const trial = { alert: alert.name, type: alert.settings.type };
      try {
        await hook.send(testMessage(config.name, Date.now()), signal);
        return { ...trial, problem: null };
      } catch (error) {
        signal.throwIfAborted();
        return { ...trial, problem: TailraceError.from(error).message };
      }
    }),
  );
}
