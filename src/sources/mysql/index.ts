import { defineSource } from "../../contracts/source.ts";
import { MysqlSource } from "./mysql-source.ts";
import { settings } from "./settings.ts";

export default defineSource({
  type: "mysql",
  title: "MySQL and MariaDB",
  settings,
  create: (checked, context) => new MysqlSource(checked, context),
});
