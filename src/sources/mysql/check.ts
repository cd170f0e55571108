import type { Finding } from "../../contracts/finding.ts";
import type { ModelNeeds } from "../../contracts/source.ts";
import type { Settings } from "./settings.ts";

export interface CheckOptions {
  readonly signal: AbortSignal;
  readonly baseDirectory?: string | undefined;
  readonly database: string | undefined;
  readonly serverId: number;
}

export async function check(
  _settings: Settings,
  _needs: readonly ModelNeeds[],
  _options: CheckOptions,
): Promise<readonly Finding[]> {
  return [];
}
