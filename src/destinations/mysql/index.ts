import { defineDestination } from "../../contracts/destination.ts";
import { MysqlDestination } from "./destination.ts";
import { settings, syncOptions } from "./settings.ts";

export default defineDestination({
  type: "mysql",
  title: "MySQL, MariaDB",
  settings,
  sync: syncOptions,
  create: (settings, context) => new MysqlDestination(settings, context),
});
