import type { ReceivedRow, RequestHead } from "./envelope.ts";
import { type Prng, prng } from "./prng.ts";

/** A door that the test opens: what waits for it goes on at once, with no sleep involved. */
export interface Gate {
  readonly opened: Promise<void>;
  open(): void;
}

export function gate(): Gate {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { opened: promise, open: () => resolve() };
}

export interface ScriptRequest extends RequestHead {
  readonly seq: number;
  readonly rows: readonly ReceivedRow[];
  readonly body: string;
  readonly attempt: number | null;
}

export type RowResult = "delivered" | "retry" | "rejected";

/** Waits before the answer begins. */
export interface Delay {
  readonly gate?: Gate | undefined;
  readonly afterMs?: number | undefined;
}

export type Action = Delay &
  (
    | {
        /** A whole answer. 2xx acknowledges every row. */
        readonly kind: "answer";
        readonly status?: number | undefined;
        readonly headers?: Readonly<Record<string, string>> | undefined;
        readonly body?: string | undefined;
      }
    | {
        /** A whole answer with a result for each row; the body is `{"results":[{"id","status","error"?}]}` unless given. */
        readonly kind: "rows";
        readonly results: readonly RowResult[];
        readonly status?: number | undefined;
        readonly body?: string | undefined;
      }
    /** No answer until {@link Receiver.release} (then 200), or until the sender gives up. */
    | { readonly kind: "hang" }
    /** TCP RST after the headers, the body unread. Only from {@link Script.head}. */
    | { readonly kind: "reset-before" }
    /** The body is read whole, then TCP RST. */
    | { readonly kind: "reset-after" }
    /** Status 200 and half of the announced body, then the connection ends. */
    | { readonly kind: "truncated" }
    /** One byte of a 200 answer every `everyMs`. */
    | { readonly kind: "drip"; readonly bytes: number; readonly everyMs: number }
    /** A 200 answer whose body never ends, as fast as it is read. */
    | { readonly kind: "endless" }
    | { readonly kind: "huge-headers"; readonly bytes?: number | undefined }
    | {
        readonly kind: "redirect";
        readonly location: string;
        readonly status?: 301 | 302 | 303 | 307 | 308 | undefined;
      }
  );

/**
 * What the receiver does with each request. `head` is asked when the headers are there, and may decide already
 * then; otherwise `answer` is, once the body is.
 */
export interface Script {
  readonly head?: ((head: RequestHead & { readonly seq: number }) => Action | null) | undefined;
  readonly answer: (request: ScriptRequest) => Action | Promise<Action>;
}

export const OK: Action = { kind: "answer", status: 200 };

export function status(code: number, headers: Readonly<Record<string, string>> = {}, body = ""): Action {
  return { kind: "answer", status: code, headers, body };
}

/** The given actions in turn, one a request, then `rest` for ever. */
export function inTurn(actions: readonly Action[], rest: Action = OK): Script {
  // Requests on several connections interleave: what one drew at its head waits for its body.
  const drawn = new Map<number, Action>();
  let next = 0;
  return {
    head: ({ seq }) => {
      const action = actions[next] ?? rest;
      next += 1;
      if (action.kind === "reset-before") return action;
      drawn.set(seq, action);
      return null;
    },
    answer: ({ seq }) => {
      const action = drawn.get(seq) ?? rest;
      drawn.delete(seq);
      return action;
    },
  };
}

export type FaultKind =
  | "429"
  | "500"
  | "503"
  | "timeout"
  | "reset-before"
  | "reset-after"
  | "truncated"
  | "drip"
  | "endless"
  | "huge-headers"
  | "redirect";

export interface FaultOptions {
  /** Share of requests that fail, 0 to 1. */
  readonly rate: number;
  readonly kinds: readonly FaultKind[];
  readonly seed: number;
  /** Seconds in the `Retry-After` of a 429. */
  readonly retryAfterSeconds?: number | undefined;
  /** What the requests that do not fail get. */
  readonly rest?: ((request: ScriptRequest) => Action) | undefined;
}

/** A seeded random script. */
export function faults(options: FaultOptions): Script {
  const random: Prng = prng(options.seed);
  const drawn = new Map<number, Action>();
  return {
    head: ({ seq }) => {
      if (!random.chance(options.rate)) return null;
      const action = fault(random.pick(options.kinds), options);
      if (action.kind === "reset-before") return action;
      drawn.set(seq, action);
      return null;
    },
    answer: (request) => {
      const action = drawn.get(request.seq);
      drawn.delete(request.seq);
      return action ?? options.rest?.(request) ?? OK;
    },
  };
}

function fault(kind: FaultKind, options: FaultOptions): Action {
  switch (kind) {
    case "429":
      return status(
        429,
        options.retryAfterSeconds === undefined ? {} : { "retry-after": String(options.retryAfterSeconds) },
      );
    case "500":
    case "503":
      return status(Number(kind), {}, "no");
    case "timeout":
      return { kind: "hang" };
    case "drip":
      return { kind: "drip", bytes: 20, everyMs: 5 };
    case "redirect":
      return { kind: "redirect", location: "http://127.0.0.1:9/elsewhere" };
    default:
      return { kind };
  }
}
