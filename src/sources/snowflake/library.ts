// Snowflake's client library: loaded only where it is configured.
import type * as sdk from "snowflake-sdk";
import { loadOptional } from "../../kit/optional-library.ts";

export type Snowflake = typeof sdk;
export type Connection = sdk.Connection;
export type RowStatement = sdk.RowStatement;

/** The version that this Tailrace is tested with; package.json has the same. */
export const SNOWFLAKE_VERSION = "3.3.0";

const LIBRARY = { title: "Snowflake's client library", package: "snowflake-sdk", version: SNOWFLAKE_VERSION };

let configured = false;

export async function loadSnowflake(): Promise<Snowflake> {
  const { default: library } = (await loadOptional(
    LIBRARY,
    "source.config",
    () => import("snowflake-sdk"),
  )) as unknown as {
    default: Snowflake;
  };
  // Its log would hold statements, and goes to a file in the working directory.
  if (!configured) library.configure({ logLevel: "OFF", additionalLogToConsole: false });
  configured = true;
  return library;
}
