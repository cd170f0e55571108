import { setTimeout as delay } from "node:timers/promises";
import type { Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Log } from "../../contracts/log.ts";
import type { Source } from "../../contracts/source.ts";
import { backoffMs } from "../../engine/delivery/backoff.ts";
import type { Member } from "./member.ts";
import { Patience } from "./patience.ts";
import type { Round } from "./round.ts";
import type { Silence } from "./silence.ts";

export interface ReadingOptions {
  readonly source: Source;
  readonly silence: Silence;
  readonly log: Log;
  readonly round: Round;
  /** Who reads; one that leaves is taken out of it at any time. */
  readonly readers: Set<Member>;
  /** Opens the source anew after a lost connection. */
  readonly reopen: () => Promise<unknown>;
  /** A reader holds back others that have room. True: it leaves. */
  readonly behind: (member: Member) => boolean;
  /** The place that was wanted is reached. */
  readonly reached: () => void;
}

/** Hands the log to every reader until the round ends. A lost connection is opened anew. */
export async function readLog(options: ReadingOptions, from: Position, until: Position | null): Promise<void> {
  const { source, silence, log, round, readers } = options;
  const patience = new Patience<Member>();
  let position = from;
  let wanted = until;
  for (let failures = 0; !round.signal.aborted;) {
    try {
      for await (const batch of source.read(position, round.signal)) {
        failures = 0;
        position = batch.end;
        silence.batchCame(Date.now());
        for (const { pipeline } of readers) pipeline?.accept(batch);
        await makeRoom(options, patience);
        if (round.signal.aborted) return;
        if (wanted !== null && position >= wanted) {
          wanted = null;
          options.reached();
        }
      }
    } catch (error) {
      if (round.signal.aborted) return;
      const failure = TailraceError.from(error, "source.unreachable");
      if (failure.consequence !== "transient") throw failure;
      failures += 1;
      const waitMs = backoffMs(failures, 200, 15_000);
      log.warn("reading broke off; it goes on where it was", {
        code: failure.code,
        error: failure.message,
        waitMs: Math.round(waitMs),
      });
      await delay(waitMs, undefined, { signal: round.signal }).catch(() => {});
      if (round.signal.aborted) return;
      // The log must still be whole before anything more is read from it.
      await options.reopen().catch((error: unknown) => {
        if (TailraceError.from(error).consequence !== "transient") throw error;
      });
    }
  }
}

/** Waits until every reader has room, but not for ever for those that are alone in having none. */
async function makeRoom({ readers, round, behind }: ReadingOptions, patience: Patience<Member>): Promise<void> {
  while (!round.signal.aborted) {
    const full = [...readers].filter(({ pipeline }) => pipeline?.full === true);
    if (full.length === 0) return;
    const room = full.map(({ pipeline }) => pipeline!.whenRoom());
    if (full.length === readers.size) {
      await Promise.race([...room, round.ended]);
      continue;
    }
    const sinceMs = Date.now();
    const tired = new AbortController();
    const leftMs = Math.max(LOOK_MS, Math.min(...full.map((member) => patience.leftMs(member, sinceMs))));
    await Promise.race([
      ...room,
      round.ended,
      delay(leftMs, undefined, { signal: tired.signal }).catch(() => {}),
    ]).finally(() => tired.abort());
    if (round.signal.aborted) return;
    const nowMs = Date.now();
    for (const member of full) {
      if (patience.waited(member, nowMs - sinceMs, nowMs) && readers.has(member) && behind(member))
        readers.delete(member);
    }
  }
}

/** How often it is looked at again whether somebody may leave. */
const LOOK_MS = 100;
