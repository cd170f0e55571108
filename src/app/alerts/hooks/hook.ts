import type { ConfiguredAlert } from "../../config/config.ts";
import type { Message } from "../message.ts";
import { CommandHook } from "./command.ts";
import { SlackHook, WebhookHook } from "./http.ts";

/** Where alerts go. */
export interface Hook extends AsyncDisposable {
  /**
   * One try, at most {@link TRY_MS} long. Rejects with an Error that names neither a secret nor the path of a URL when it is not
   * known to have arrived; `afterMs` of it where the other side says when to come back.
   */
  send(message: Message, signal: AbortSignal): Promise<void>;
}

export const TRY_MS = 10_000;

/** `baseDirectory`: what a program's relative path is relative to, and where it runs. */
export function createHook({ settings }: ConfiguredAlert, baseDirectory: string): Hook {
  switch (settings.type) {
    case "webhook":
      return new WebhookHook(settings, TRY_MS);
    case "slack":
      return new SlackHook(settings, TRY_MS);
    case "command":
      return new CommandHook(settings.command ?? [], baseDirectory, TRY_MS);
  }
}
