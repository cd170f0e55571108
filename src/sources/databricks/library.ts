// Databricks' own driver, loaded only where it is configured.
import type * as driver from "@databricks/sql";
import { loadOptional } from "../../kit/optional-library.ts";

/** The version that this Tailrace is tested with; package.json has the same. */
export const DRIVER_VERSION = "2.1.0";

const LIBRARY = { title: "Databricks' driver", package: "@databricks/sql", version: DRIVER_VERSION };

export function loadDriver(): Promise<typeof driver> {
  return loadOptional(LIBRARY, "source.config", () => import("@databricks/sql"));
}

export type DriverClient = InstanceType<typeof driver.DBSQLClient>;
export type DriverSession = Awaited<ReturnType<DriverClient["openSession"]>>;
