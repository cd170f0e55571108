// One reading of the changelog: chunks of the socket in, batches out.
import type { ChangeBatch, Position } from "../../contracts/change.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { lsnOf } from "./position.ts";
import { PgOutputDecoder, type RowShape } from "./pgoutput.ts";
import type { RelationMessage } from "./relation-message.ts";
import type { ReplicationStream } from "./replication-stream.ts";
import { type Bytes, Framer, readFields } from "./wire.ts";

export interface ReaderOptions {
  /** The shape of a table's rows; null: they are not ours. Called once for each RELATION message that differs. See `provide`. */
  shapeOf(message: RelationMessage, decoder: PgOutputDecoder): Promise<RowShape | TailraceError | null>;
  /** The server's error, as the error that ends the reading. */
  serverError(fields: Readonly<Record<string, string>>): Promise<Error>;
  /** A notice that the server sent beside the stream; returns the error that it means, if it means one. */
  notice(fields: Readonly<Record<string, string>>): Error | null;
  /** Called with every position that the server tells. */
  progress(serverLsn: bigint): void;
}

/** Batches without a change are sent no more often than this. */
const EMPTY_EVERY_MS = 250;

const COPY_BOTH = 0x57;
const ERROR = 0x45;
const NOTICE = 0x4e;
const PARAMETER = 0x53;

/**
 * Batches of one chunk each: what is there is handed on at once, and not more than that is held. Throws what the
 * stream throws. The caller closes the stream.
 */
export async function* readBatches(
  stream: ReplicationStream,
  after: Position,
  options: ReaderOptions,
): AsyncGenerator<ChangeBatch, void, undefined> {
  const framer = new Framer();
  const failures: { server: Readonly<Record<string, string>> | null; notice: Error | null } = {
    server: null,
    notice: null,
  };
  let ended = false;
  const decoder = new PgOutputDecoder(after, {
    keepalive: (walEnd, replyNow) => {
      stream.written(walEnd);
      options.progress(walEnd);
      if (replyNow) stream.answerSoon();
    },
    control: (kind, bytes, from, to) => {
      if (kind === ERROR) failures.server ??= readFields(bytes, from, to);
      else if (kind === NOTICE) failures.notice ??= options.notice(readFields(bytes, from, to));
      else if (kind === 0x63 || kind === 0x43 || kind === 0x5a) ended = true;
      else if (kind !== COPY_BOTH && kind !== PARAMETER) {
        throw new TailraceError("source.protocol", `an unknown backend message: 0x${kind.toString(16)}`);
      }
    },
  });
  let sentEnd = after;
  let sentAtMs = 0;
  let bytesRead = 0;
  for (;;) {
    // Progress without changes that was held back goes out when its time has come, if nothing else does.
    const next = stream.next(decoder.end > sentEnd ? Math.max(1, sentAtMs + EMPTY_EVERY_MS - Date.now()) : 0);
    const chunk = Buffer.isBuffer(next) ? next : await next;
    if (chunk) {
      bytesRead += chunk.length;
      const bytes = framer.push(chunk);
      if (!bytes) continue;
      await decodeAll(bytes, decoder, options);
      // Before anything of this chunk is handed on: what follows such a notice lies behind a hole.
      if (failures.notice) throw failures.notice;
      if (failures.server) throw await options.serverError(failures.server);
    }
    const changes = decoder.take();
    const end = decoder.end;
    if (changes.length > 0 || (end > sentEnd && Date.now() - sentAtMs >= EMPTY_EVERY_MS)) {
      stream.written(lsnOf(end));
      sentEnd = end;
      sentAtMs = Date.now();
      const bytes = bytesRead;
      bytesRead = 0;
      yield { changes, end, bytes };
    }
    if (ended) throw new TailraceError("source.unreachable", "the server ended the replication stream");
  }
}

async function decodeAll(bytes: Bytes, decoder: PgOutputDecoder, options: ReaderOptions): Promise<void> {
  let at = decoder.decode(bytes, 0);
  while (decoder.needed) {
    decoder.provide(await options.shapeOf(decoder.needed, decoder));
    at = decoder.decode(bytes, at);
  }
}
