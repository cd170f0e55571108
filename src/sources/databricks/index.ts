import { defineSource } from "../../contracts/source.ts";
import { FeedSource } from "../../kit/feed/feed-source.ts";
import { DatabricksWarehouse } from "./databricks-warehouse.ts";
import { settings } from "./settings.ts";

export default defineSource({
  type: "databricks",
  title: "Databricks (Delta tables, streaming tables, materialized views)",
  settings,
  sharing: "model",
  create: (checked, context) =>
    new FeedSource({ warehouse: new DatabricksWarehouse(checked, context), poll: checked.poll, log: context.log }),
});
