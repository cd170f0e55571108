import type { GtidSet } from "./gtid-set.ts";
import type { GtidState } from "./gtid-state.ts";
import type { Place } from "./position.ts";

/** Where a reading starts, and how the server is told. */
export interface ReadFrom {
  /** `place`: at a file and an offset; `gtid`: after what another server had in its log. */
  readonly by: "place" | "gtid";
  /** Of the positions that are read. */
  readonly epoch: number;
  /** `place`: where, and how much of the transaction there is skipped. `gtid`: where the log of this server begins, as it will say. */
  readonly place: Place;
  /** `gtid`, MySQL: what was handed on. */
  readonly set?: GtidSet | undefined;
  /** `gtid`, MariaDB: after these. */
  readonly state?: GtidState | undefined;
  /** MariaDB: of this domain, those before this number were handed on though the server sends them. */
  readonly doneOfDomain?: { readonly domain: string; readonly before: bigint } | undefined;
}
