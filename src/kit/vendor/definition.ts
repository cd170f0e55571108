import type * as z from "zod";
import type {
  BatchGroup,
  Delivery,
  DeliveryOp,
  DestinationGuide,
  Limits,
  Outcome,
  Target,
} from "../../contracts/destination.ts";
import type { Mode, OnDelete } from "../../contracts/sync.ts";
import type { AuthContext, Authorization } from "./auth/authorization.ts";
import type { ErrorTable } from "./errors.ts";
import type { Jobs } from "./job.ts";
import type { Session } from "./session.ts";
import type { ConnectionSettings } from "./settings.ts";

/**
 * A vendor, declared; functions only where declaration cannot say it. {@link defineVendor} makes a destination of it. `S` are the
 * settings of the connection as they were checked, `O` a sync's `options`.
 */
export interface VendorDefinition<S extends z.ZodType<ConnectionSettings>, O extends z.ZodType> {
  readonly type: string;
  readonly title: string;
  /** `z.strictObject({ ...connectionSettings, token: secretSetting("…") })` */
  readonly settings: S;
  readonly sync: O;
  /** Where its API is: `https://api.example.com`; the setting `base_url` takes its place. */
  origin(settings: z.output<S>): string;
  auth(settings: z.output<S>, context: AuthContext): Authorization;
  /** Headers of every request, beside the authorization's: a version of the API. */
  headers?(settings: z.output<S>): Readonly<Record<string, string>>;
  readonly limits: VendorLimits | ((settings: z.output<S>) => VendorLimits);
  readonly errors: ErrorTable;
  /** A request that any valid credentials may make and that changes nothing, for `check`. Throws what is wrong. */
  ping(session: Session, settings: z.output<S>): Promise<void>;
  readonly objects: readonly VendorObject<z.output<S>, z.output<O>>[];
  /** Whether fields that a delivery leaves out keep their value. Default: true. */
  readonly partialUpdates?: boolean;
  /** Whether it drops repeats of a delivery's id by itself. Default: false. */
  readonly idempotencyKey?: boolean;
  readonly guide: Omit<DestinationGuide, "objects">;
}

export interface VendorLimits {
  /** Of the greatest of its operations. */
  readonly rows: number;
  readonly bytes: number;
  readonly concurrency: number;
  /** null: the vendor names none. */
  readonly perSecond: number | null;
  /** How long a batch that is not full waits for more rows, in ms. Default: 0. */
  readonly ageMs?: number;
}

/** One kind of thing that rows become. */
export interface VendorObject<S, O> {
  /** As a sync's `object:` names it. */
  readonly name: string;
  /** Other names that mean an object of this kind (custom objects). */
  accepts?(name: string): boolean;
  readonly modes: readonly Mode[];
  readonly deletes: readonly OnDelete["kind"][];
  /** What may identify a record, for people: ``"`email`, or any property that is unique"``. */
  readonly match: string;
  /** The most match fields; default: 1. */
  readonly matchFields?: number;
  /** The vendor's live schema, or a list of its own; absent: it takes any field. */
  fields?(place: Place<S, O>, session: Session): Promise<VendorFields> | VendorFields;
  /** What is done with each kind of delivery. Operations that are one object share requests. */
  operations(place: Place<S, O>): Operations;
  /** For people: `100 rows a request`. */
  readonly batch: string;
}

/** One sync's place at the vendor. */
export interface Place<S = unknown, O = unknown> {
  /** {@link Target.object}, or the only object's name. */
  readonly object: string;
  readonly target: Target;
  readonly settings: S;
  readonly options: O;
  /** For operations that are jobs. */
  readonly jobs: Jobs;
}

export type Operations = Partial<Record<DeliveryOp, Operation>>;

/** What is done with rows of some kinds; see `operation.ts` for the usual ones. */
export interface Operation extends BatchGroup {
  /** At most {@link BatchGroup.rows} of them, in one or more requests; what it throws is as for {@link Writer.write}. */
  send(rows: readonly Delivery[], session: Session): Promise<readonly Outcome[]>;
}

export interface VendorFields {
  readonly fields: readonly VendorField[];
  /** Whether fields of other names are taken too, as attributes of the user's own. */
  readonly open: boolean;
}

export interface VendorField {
  readonly name: string;
  readonly type: "string" | "number" | "boolean" | "date" | "datetime" | "enum" | "array" | "json" | "any";
  /** A record cannot be made without it. */
  readonly required?: boolean;
  readonly readOnly?: boolean;
  /** A null empties it. Default: true. */
  readonly clearable?: boolean;
  /** Records can be found by it. Where no field says so, any may be matched by. */
  readonly unique?: boolean;
}

export function engineLimits(limits: VendorLimits): Limits {
  return {
    batchRows: limits.rows,
    batchBytes: limits.bytes,
    concurrency: limits.concurrency,
    perSecond: limits.perSecond,
    batchAgeMs: limits.ageMs ?? 0,
  };
}
