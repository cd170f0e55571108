import { defineSource } from "../../contracts/source.ts";
import { DuckdbSource } from "./duckdb-source.ts";
import { settings } from "./settings.ts";

export default defineSource({
  type: "duckdb",
  title: "DuckDB; Parquet, CSV and JSON files",
  settings,
  create: (checked, context) => new DuckdbSource(checked, context),
});
