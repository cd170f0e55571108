import { createReadStream, createWriteStream, type WriteStream } from "node:fs";
import process from "node:process";
import { createInterface } from "node:readline";
import { finished } from "node:stream/promises";
import type { ReceivedRow, RequestHead } from "./envelope.ts";

/** One request, from its first byte to its end. All times are `process.hrtime.bigint()`. */
export interface LedgerRequest extends RequestHead {
  readonly kind: "request";
  /** In the order of arrival, from 0. */
  readonly seq: number;
  readonly arrivedNs: bigint;
  /** The body's last byte; null when it was not read to its end. */
  readonly bodyEndNs: bigint | null;
  /** What the sender says of the attempt; null when it says nothing. */
  readonly attempt: number | null;
  readonly bodyBytes: number;
  readonly bodySha1: string | null;
  /** null where bodies are not kept. */
  readonly body: string | null;
  readonly rows: readonly LedgerRow[];
  /** What the script chose: `answer`, `reset-after`, … */
  readonly action: string;
  /** null until, and unless, a status was sent. */
  readonly status: number | null;
  /** Just before the answer's last byte was written; null when no whole answer was. */
  readonly answeredNs: bigint | null;
  /** When the request ended, with or without an answer; null while it is in flight. */
  readonly endedNs: bigint | null;
  /** ms that a `Retry-After` in the answer asks for; null without one. */
  readonly retryAfterMs: number | null;
}

export interface LedgerRow extends ReceivedRow {
  /** A whole answer was sent that says the row was taken. */
  readonly acknowledged: boolean;
}

/** A moment that the test notes: `restart` opens a new window for counting duplicates. */
export interface LedgerMark {
  readonly kind: "mark";
  readonly label: string;
  readonly atNs: bigint;
}

export type LedgerEntry = LedgerRequest | LedgerMark;

/** Append-only. In memory, or one JSON line an event in a file (for long runs). */
export interface Ledger {
  /** Everything so far, in order of arrival; empty when the ledger is kept in a file. */
  readonly entries: readonly LedgerEntry[];
  /** Everything so far, from memory or from the file. */
  read(): Promise<readonly LedgerEntry[]>;
  mark(label: string): void;
}

export type Draft<T> = { -readonly [K in keyof T]: T[K] };

/** The receiver's side of a ledger. */
export class LedgerBook implements Ledger {
  readonly entries: LedgerEntry[] = [];
  readonly #path: string | null;
  readonly #file: WriteStream | null;

  constructor(place: "memory" | (string & {})) {
    this.#path = place === "memory" ? null : place;
    this.#file = this.#path === null ? null : createWriteStream(this.#path, { flags: "a" });
  }

  get inMemory(): boolean {
    return this.#file === null;
  }

  /** The request has arrived; in memory the entry goes on to be filled in. */
  arrived(request: LedgerRequest): void {
    if (this.#file === null) this.entries.push(request);
  }

  /** The request has ended: nothing in it changes any more. */
  ended(request: LedgerRequest): void {
    this.#file?.write(`${line(request)}\n`);
  }

  mark(label: string): void {
    const mark: LedgerMark = { kind: "mark", label, atNs: process.hrtime.bigint() };
    if (this.#file === null) this.entries.push(mark);
    else this.#file.write(`${line(mark)}\n`);
  }

  async read(): Promise<readonly LedgerEntry[]> {
    if (this.#path === null || this.#file === null) return this.entries;
    const file = this.#file;
    await new Promise<void>((resolve, reject) => {
      file.write("", (error) => (error ? reject(error) : resolve()));
    });
    return readLedger(this.#path);
  }

  async close(): Promise<void> {
    if (this.#file === null) return;
    this.#file.end();
    await finished(this.#file);
  }
}

/** A ledger's file, in order of arrival. A line that a crash cut short is left out. */
export async function readLedger(path: string): Promise<LedgerEntry[]> {
  const entries: LedgerEntry[] = [];
  for await (const text of createInterface({ input: createReadStream(path) })) {
    if (text.endsWith("}")) entries.push(JSON.parse(text, reviveBigints) as LedgerEntry);
  }
  const at = (entry: LedgerEntry): bigint => (entry.kind === "mark" ? entry.atNs : entry.arrivedNs);
  return entries.sort((a, b) => (at(a) < at(b) ? -1 : at(a) > at(b) ? 1 : 0));
}

const BIGINTS = new Set(["arrivedNs", "bodyEndNs", "answeredNs", "endedNs", "atNs", "version"]);

// Only numbers: a record may have a field `version` too, and its values are texts.
function reviveBigints(key: string, value: unknown): unknown {
  if (!BIGINTS.has(key)) return value;
  const text = value as { bigint?: string } | null;
  return typeof text === "object" && text?.bigint !== undefined ? BigInt(text.bigint) : value;
}

function line(entry: LedgerEntry): string {
  return JSON.stringify(entry, (_key, value: unknown) =>
    typeof value === "bigint" ? { bigint: String(value) } : value,
  );
}
