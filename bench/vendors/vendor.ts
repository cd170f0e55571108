import type { DestinationConnector } from "../../src/contracts/destination.ts";

/** What `bench/vendors/NAME.ts` exports as default. The engine's side and the mock's are in processes of their own. */
export interface BenchVendor {
  readonly connector: DestinationConnector;
  settings(url: string): unknown;
  readonly object: string | null;
  /** PostgreSQL types by column; the first is the key. */
  readonly columns: Readonly<Record<string, string>>;
  row(n: number): Readonly<Record<string, string | null>>;
  /** The vendor's answer to a request, made with as little work as can be: what is measured is the sender. */
  answer(request: { readonly method: string; readonly url: string; readonly body: string }): {
    readonly status: number;
    readonly body: string;
    /** Rows that this request wrote. */
    readonly rows: number;
  };
  /** Rows of a round; fewer than the usual 200,000 where each is a request. */
  readonly rows?: number;
  /** Rows a second that are asked for; absent: they are told. */
  readonly required?: number;
}
