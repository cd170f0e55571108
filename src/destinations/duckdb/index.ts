import { defineDestination } from "../../contracts/destination.ts";
import { DuckdbDestination } from "./destination.ts";
import { settings, syncOptions } from "./settings.ts";

export default defineDestination({
  type: "duckdb",
  title: "DuckDB",
  settings,
  sync: syncOptions,
  create: (settings, context) => new DuckdbDestination(settings, context),
});
