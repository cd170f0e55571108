import { constants } from "node:fs";
import { access, stat } from "node:fs/promises";
import { dirname } from "node:path";
import type { Log } from "../contracts/log.ts";
import { type CheckedFinding, findingOf } from "./checked-finding.ts";
import type { Config } from "./config/load.ts";
import { nameOfState, openState } from "./project.ts";

/** Whether the state can be opened, or made. Neither is done. */
export async function checkState(config: Config, log: Log): Promise<readonly CheckedFinding[]> {
  const about = { kind: "state", name: nameOfState(config) } as const;
  try {
    await using store = await openState(config, log, { readOnly: true });
    await store.statuses();
  } catch (error) {
    return [findingOf(about, error)];
  }
  if (config.state.type === "postgres") return [];
  const { path } = config.state;
  const place = await nearest(path);
  try {
    await access(place, constants.W_OK);
    return [];
  } catch {
    return [
      {
        level: "error",
        code: "state.path",
        message: `${place} cannot be written to.`,
        fix: "Give the user that runs Tailrace the right to write there, or set another `state: { path: … }`.",
        about,
      },
    ];
  }
}

/** The file, or the nearest folder above it that is there. */
async function nearest(path: string): Promise<string> {
  for (let place = path; ; place = dirname(place)) {
    const found = await stat(place).catch(() => null);
    if (found !== null || dirname(place) === place) return place;
  }
}
