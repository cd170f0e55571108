import process from "node:process";

/** The moments between reading a change and reporting its position at which a crash must lose nothing. */
export const FAILPOINTS = [
  /** The source has made the slot; nothing is stored yet. */
  "slot-created",
  /** A chunk of a backfill was read; none of it is queued. */
  "chunk-read",
  /** Rows of a backfill are delivered; this is not stored. */
  "chunk-acked",
  /** It is stored that a backfill is over. */
  "backfill-done",
  /** A request's last byte is handed to the operating system (HTTP). */
  "request-sent",
  /** A request's answer is here; nothing knows of it. */
  "answer-read",
  /** A checkpoint is durable; the source has not heard of it. */
  "state-written",
  /** The source has been told a position. */
  "position-reported",
  /** A dead letter is durable, with the checkpoint that speaks for it. */
  "dead-letter-written",
] as const;

export type FailpointName = (typeof FAILPOINTS)[number];

const [wanted = "", hit = "1"] = (process.env["TAILRACE_FAILPOINT"] ?? "").split(":");
const armed = wanted !== "";
let hitsLeft = Number(hit);
if (armed && (!(FAILPOINTS as readonly string[]).includes(wanted) || !(hitsLeft >= 1))) {
  throw new Error(`TAILRACE_FAILPOINT is NAME or NAME:N, with a NAME of ${FAILPOINTS.join(", ")}`);
}

/**
 * Ends this process by SIGKILL when `TAILRACE_FAILPOINT` is `NAME` or `NAME:N` and this is the N-th time that `NAME` is
 * passed. For the tests of crashes (docs/chaos.md); does nothing otherwise.
 */
export function failpoint(name: FailpointName): void {
  if (!armed || name !== wanted) return;
  hitsLeft -= 1;
  if (hitsLeft === 0) process.kill(process.pid, "SIGKILL");
}
