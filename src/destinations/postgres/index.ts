import { defineDestination } from "../../contracts/destination.ts";
import { PostgresDestination } from "./destination.ts";
import { settings, syncOptions } from "./settings.ts";

export default defineDestination({
  type: "postgres",
  title: "PostgreSQL",
  settings,
  sync: syncOptions,
  create: (settings, context) => new PostgresDestination(settings, context),
});
