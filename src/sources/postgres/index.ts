import { defineSource } from "../../contracts/source.ts";
import { PostgresSource } from "./postgres-source.ts";
import { settings } from "./settings.ts";

export default defineSource({
  type: "postgres",
  title: "PostgreSQL",
  settings,
  create: (checked, context) => new PostgresSource(checked, context),
});
