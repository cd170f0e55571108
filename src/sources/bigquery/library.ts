// Google's own client, and what authorizes its requests: loaded only where they are configured.
import type * as client from "@google-cloud/bigquery";
import type * as auth from "google-auth-library";
import { loadOptional } from "../../kit/optional-library.ts";

/** The versions that this Tailrace is tested with; package.json has the same. */
export const CLIENT_VERSION = "9.3.0";
export const AUTH_VERSION = "11.3.4";

const LIBRARY = { title: "BigQuery's client library", package: "@google-cloud/bigquery", version: CLIENT_VERSION };

export function loadClient(): Promise<typeof client> {
  return loadOptional(LIBRARY, "source.config", () => import("@google-cloud/bigquery"));
}

const AUTH = { title: "Google's auth library", package: "google-auth-library", version: AUTH_VERSION };

export function loadAuth(): Promise<typeof auth> {
  return loadOptional(AUTH, "source.config", () => import("google-auth-library"));
}

export type Client = client.BigQuery;
export type ClientOptions = client.BigQueryOptions;
