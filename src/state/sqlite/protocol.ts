import { TailraceError, type ErrorCode } from "../../contracts/errors.ts";
import type { StateDatabase, StateDatabaseOptions } from "./state-database.ts";

/** What the main thread may ask of the worker: these methods of {@link StateDatabase}. */
export type Method =
  | "tryAcquire"
  | "release"
  | "loadHeld"
  | "commit"
  | "openSent"
  | "announceSent"
  | "knownSent"
  | "forgetSent"
  | "otherSent"
  | "openRows"
  | "knownRows"
  | "findRows"
  | "announceRows"
  | "confirmRows"
  | "matchingRows"
  | "pageRows"
  | "requestsHeld"
  | "report"
  | "statuses"
  | "load"
  | "failures"
  | "failureGroups"
  | "droppedFailures"
  | "failure"
  | "request"
  | "waitingRequests"
  | "forget"
  | "close";

export type Arguments<M extends Method> = Parameters<StateDatabase[M]>;
export type Result<M extends Method> = ReturnType<StateDatabase[M]>;

export interface WorkerSettings extends StateDatabaseOptions {
  readonly heartbeatMs: number;
}

export interface Call {
  /** null: no answer is wanted. */
  readonly id: number | null;
  readonly method: Method;
  readonly args: readonly unknown[];
}

export type FromWorker =
  | { readonly kind: "opened" }
  | { readonly kind: "refused"; readonly error: PlainError }
  | { readonly kind: "result"; readonly id: number; readonly value: unknown }
  | { readonly kind: "failed"; readonly id: number; readonly error: PlainError }
  | { readonly kind: "lost"; readonly owner: string }
  | { readonly kind: "warning"; readonly message: string; readonly error: PlainError | null };

/** A TailraceError on its way between threads: a structured clone would make it a plain Error. */
export interface PlainError {
  readonly code: ErrorCode;
  readonly message: string;
  readonly stack: string | undefined;
}

export function toPlain(error: unknown): PlainError {
  const { code, message, stack } = TailraceError.from(error);
  return { code, message, stack };
}

export function fromPlain({ code, message, stack }: PlainError): TailraceError {
  const error = new TailraceError(code, message);
  // Where in the worker it happened; the caller's own stack only says that it waited.
  if (code === "internal.defect" && stack !== undefined) error.stack = stack;
  return error;
}
