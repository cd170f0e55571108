// Google's own client, loaded only where it is configured.
import type * as client from "@google-cloud/bigquery";
import { loadOptional } from "../../kit/optional-library.ts";

/** The version that this Tailrace is tested with; package.json has the same. */
export const CLIENT_VERSION = "9.3.0";

const LIBRARY = { title: "BigQuery's client library", package: "@google-cloud/bigquery", version: CLIENT_VERSION };

export function loadClient(): Promise<typeof client> {
  return loadOptional(LIBRARY, "source.config", () => import("@google-cloud/bigquery"));
}

export type Client = client.BigQuery;
export type ClientOptions = client.BigQueryOptions;
