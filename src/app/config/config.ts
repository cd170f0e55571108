import type { DestinationConnector } from "../../contracts/destination.ts";
import type { SourceConnector } from "../../contracts/source.ts";
import type { Sync } from "../../contracts/sync.ts";
import type { DbtOrigin } from "../dbt/model.ts";
import type { AlertInput } from "./alert-schema.ts";
import type { ConfiguredModel } from "./model.ts";
import type { StateSettings } from "./schema.ts";

/** The checked configuration. It does not know in which language it was written. */
export interface Config {
  /** Tells two projects on one database apart. */
  readonly name: string;
  /** Absolute; relative paths in the configuration are relative to it. */
  readonly baseDirectory: string;
  /** Absolute. */
  readonly files: readonly string[];
  readonly sources: ReadonlyMap<string, ConfiguredSource>;
  readonly destinations: ReadonlyMap<string, ConfiguredDestination>;
  readonly models: ReadonlyMap<string, ConfiguredModel>;
  /** null: there is none. */
  readonly dbt: DbtProject | null;
  /** In the order of the files. */
  readonly syncs: readonly Sync[];
  readonly alerts: readonly ConfiguredAlert[];
  /** A `path` is absolute, a `url` holds secrets. */
  readonly state: StateSettings;
  readonly log: { readonly level: "debug" | "info" | "warn" | "error" };
  readonly failures: FailureSettings;
  /** null: none is kept. */
  readonly history: HistorySettings | null;
}

/** A dbt project whose models are read. */
export interface DbtProject {
  /** Absolute: its `manifest.json`. */
  readonly manifest: string;
  /** Absolute: what its last run did. */
  readonly runResults: string;
  /** What models have from it, by their names here. */
  readonly models: ReadonlyMap<string, DbtOrigin>;
}

/** What is kept of what happened to rows, for `tailrace trace`. */
export interface HistorySettings {
  /** Absolute: a folder. */
  readonly path: string;
  /** All its files together. */
  readonly bytes: number;
}

/** What becomes of the dead letters of each sync. */
export interface FailureSettings {
  /** Older ones are dropped; null: none are. */
  readonly keepMs: number | null;
  /** A sync that has so many stops. */
  readonly most: number;
}

/** A hook that alerts go to, as it was written. Holds secrets. */
export interface ConfiguredAlert {
  readonly name: string;
  readonly settings: AlertInput;
}

export interface ConfiguredSource {
  readonly name: string;
  readonly type: string;
  /** Parsed by the connector's schema: hand it to `connector.create`. Holds secrets. */
  readonly settings: unknown;
  readonly connector: SourceConnector;
  readonly at: string;
}

export interface ConfiguredDestination {
  readonly name: string;
  readonly type: string;
  /** Parsed by the connector's schema: hand it to `connector.create`. Holds secrets. */
  readonly settings: unknown;
  readonly connector: DestinationConnector;
  /** Most requests a second, over all syncs; null: the destination's own limit. */
  readonly rate: number | null;
  /** Most requests in flight, over all syncs; null: the destination's own limit. */
  readonly concurrency: number | null;
  readonly at: string;
}
