import type { Prng } from "../support/prng.ts";
import type { RowTexts, State } from "../support/oracle.ts";
import type { Description, ValidatedRequest } from "../mocks/support/openapi.ts";
import type { VendorCase } from "./vendor-rows.ts";
import type { MockAnswer, MockRequest, MockVendor } from "../mocks/support/mock.ts";

/**
 * What `test/conformance/vendors/NAME.test.ts` gives to `describeVendor`: one for each object (or way of using it) that is worth the
 * whole suite.
 */
export interface VendorHarness {
  /** The object, for people. */
  readonly name: string;
  readonly object: string | null;
  readonly options?: unknown;
  /** PostgreSQL types by column, each mapped to the field of its name. The first is the key and what records are found by. */
  readonly columns: Readonly<Record<string, string>>;
  /** The key of row `n`. Default: `key-N`. */
  readonly key?: (n: number) => string;
  /** Values of a column, where not everything of its type will do; null is one of them unless it cannot be. */
  readonly values?: Readonly<Record<string, (random: Prng) => string | null>>;
  /** What the vendor holds of a value, where it is not the same text: an empty text that is no value. */
  readonly stored?: (column: string, text: string | null) => string | null;
  /** `on_delete: archive`, where the vendor can: the fields that say so, and what is stored of them. */
  readonly archive?: { readonly fields: Readonly<Record<string, string | boolean>>; readonly stored: RowTexts };
  /** Makes a row that the vendor refuses for good, by its own rules. */
  readonly poison: Readonly<Record<string, string>>;
  /** The share of requests that fail in the random mix. Default: 0.25; less where a write takes many requests, and all must do well. */
  readonly faultRate?: number;
  /** mode `event`: the column whose text is of one event only. */
  readonly marker?: string;
  /** The vendor's answer to too many requests, with a pause of `seconds` in it. */
  readonly throttled: (seconds: number) => MockAnswer;
  /** Which requests write rows; lookups, tokens and polls are others. */
  readonly writes: (request: MockRequest) => boolean;
  /** Answers that say nothing of any row, as the vendor would never give them. Default: an empty JSON object, and an empty body. */
  readonly silent?: readonly MockAnswer[];
  readonly description?: VendorDescription;
  /** Which cases are worth it, where another harness of the object has them all. Default: every one. */
  readonly cases?: (of: VendorCase) => boolean;
  readonly waived: Partial<Record<"poison" | "unaccounted" | "rotation" | "unknown field" | "oversize", string>>;
  /** `secret`: to be part of every secret of the settings. */
  start(secret: string): Promise<VendorCounterpart>;
}

export interface VendorDescription {
  /** In the folder of vendors' descriptions. */
  readonly file: string;
  load(): Promise<Description>;
  /** A request that is wrong by the description. */
  readonly wrong: ValidatedRequest;
}

export interface VendorCounterpart extends AsyncDisposable {
  readonly mock: MockVendor;
  /** As a user would write them; `token` in the place of the first secret. */
  settings(token: unknown): unknown;
  /** The token that is accepted now. */
  readonly token: string;
  /** From now on another token is accepted, which this is. */
  rotate(): string;
  /** What the vendor holds now, by key. */
  state(): State;
  /** mode `event`: the texts of {@link VendorHarness.marker}, one for each event that it has. */
  events?(): readonly string[];
  /** Forgets every record. */
  clear(): void;
}
