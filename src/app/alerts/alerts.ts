import type { Log } from "../../contracts/log.ts";
import type { Counts, StatusReport } from "../../contracts/state.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { Config, ConfiguredAlert } from "../config/config.ts";
import { AlertState } from "./alert-state.ts";
import { HookQueue } from "./hook-queue.ts";
import { createHook } from "./hooks/hook.ts";
import { messageOf } from "./message.ts";

/**
 * Tells the configuration's hooks what its syncs' reports amount to. What was told is known to this process only: after a
 * restart, what still holds is told once more, which is better than not at all.
 */
export class Alerts implements AsyncDisposable {
  readonly #project: string;
  readonly #states = new Map<string, AlertState>();
  readonly #hooks: readonly { readonly settings: ConfiguredAlert["settings"]; readonly queue: HookQueue }[];

  constructor({ name, alerts, baseDirectory }: Config, log: Log) {
    this.#project = name;
    this.#hooks = alerts.map((alert) => ({
      settings: alert.settings,
      queue: new HookQueue(createHook(alert, baseDirectory), log.child({ alert: alert.name })),
    }));
  }

  /** One report of a sync, as it is made; see {@link AlertState.see}. Returns at once. */
  see(sync: Sync, report: StatusReport, counts: Counts | null): void {
    let state = this.#states.get(sync.name);
    if (state === undefined) this.#states.set(sync.name, (state = new AlertState(sync.name, sync)));
    for (const alert of state.see(report, counts, Date.now())) {
      const message = messageOf(this.#project, alert);
      for (const { settings, queue } of this.#hooks) {
        if (settings.syncs?.includes(alert.sync) === false || settings.events?.includes(alert.event) === false)
          continue;
        queue.add(message);
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#hooks.map(({ queue }) => queue[Symbol.asyncDispose]()));
  }
}
