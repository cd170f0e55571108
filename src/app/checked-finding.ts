import { TailraceError } from "../contracts/errors.ts";
import type { Finding } from "../contracts/finding.ts";

/** What a finding is about. */
export interface About {
  readonly kind: "source" | "destination" | "sync" | "alert" | "state";
  readonly name: string;
}

export interface CheckedFinding extends Finding {
  readonly about: About;
}

export function findingOf(about: About, error: unknown): CheckedFinding {
  const { code, message, hint } = TailraceError.from(error);
  // The message of a wrong configuration says all; its hint only says that it does.
  return { level: "error", code, message, fix: code === "config.invalid" ? undefined : hint, about };
}
