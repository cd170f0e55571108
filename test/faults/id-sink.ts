// A receiver for more rows than a ledger can hold: which ids came, how often, and whether what came with them is right.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

export interface IdSinkOptions {
  /** Ids are whole numbers from 1 to this. */
  readonly ids: number;
  /** Whether a row is as it should be; its envelope's `key` begins at `from`. Else it counts as {@link IdSink.wrong}. */
  readonly right?: ((id: number, body: Buffer, from: number) => boolean) | undefined;
}

export interface IdSink extends AsyncDisposable {
  readonly url: string;
  readonly rows: number;
  /** Different ids. */
  readonly distinct: number;
  /** Rows whose id had come before. */
  readonly repeats: number;
  /** Rows that are not {@link IdSinkOptions.right}. */
  readonly wrong: number;
  /** Resolves once so many rows have come. */
  untilRows(rows: number): Promise<void>;
}

const KEY = Buffer.from('"key":{"id":');

/** Answers 200 to everything. Expects Tailrace's envelopes, one or many a request, of a table with a key `id`. */
export async function startIdSink({ ids, right }: IdSinkOptions): Promise<IdSink> {
  const seen = new Uint8Array(ids + 1);
  const counts = { rows: 0, distinct: 0, repeats: 0, wrong: 0 };
  const waiters = new Set<() => void>();
  const take = (body: Buffer): void => {
    for (let at = body.indexOf(KEY); at >= 0; at = body.indexOf(KEY, at + 1)) {
      let id = 0;
      for (let digit = at + KEY.length; body[digit]! >= 0x30 && body[digit]! <= 0x39; digit += 1) {
        id = id * 10 + body[digit]! - 0x30;
      }
      counts.rows += 1;
      if (seen[id] === 1) counts.repeats += 1;
      else if (id >= 1 && id <= ids) {
        seen[id] = 1;
        counts.distinct += 1;
      }
      if (right !== undefined && !right(id, body, at)) counts.wrong += 1;
    }
    for (const waiter of waiters) waiter();
  };
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("error", () => {});
    request.on("end", () => {
      take(Buffer.concat(chunks));
      response.end();
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    get rows() {
      return counts.rows;
    },
    get distinct() {
      return counts.distinct;
    },
    get repeats() {
      return counts.repeats;
    },
    get wrong() {
      return counts.wrong;
    },
    untilRows: async (rows) => {
      while (counts.rows < rows) {
        const { promise, resolve } = Promise.withResolvers<void>();
        waiters.add(resolve);
        await promise;
        waiters.delete(resolve);
      }
    },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
