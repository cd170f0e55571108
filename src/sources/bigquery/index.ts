import { defineSource } from "../../contracts/source.ts";
import { FeedSource } from "../../kit/feed/feed-source.ts";
import { BigQueryWarehouse } from "./bigquery-warehouse.ts";
import { settings } from "./settings.ts";

export default defineSource({
  type: "bigquery",
  title: "BigQuery",
  settings,
  sharing: "model",
  create: (checked, context) =>
    new FeedSource({
      warehouse: new BigQueryWarehouse(checked, context.baseDirectory ?? process.cwd()),
      poll: checked.poll,
      log: context.log,
    }),
});
