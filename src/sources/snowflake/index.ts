import { defineSource } from "../../contracts/source.ts";
import { FeedSource } from "../../kit/feed/feed-source.ts";
import { settings } from "./settings.ts";
import { SnowflakeWarehouse } from "./warehouse.ts";

export default defineSource({
  type: "snowflake",
  title: "Snowflake",
  settings,
  sharing: "model",
  create: (checked, context) =>
    new FeedSource({ warehouse: new SnowflakeWarehouse(checked, context), poll: checked.poll, log: context.log }),
});
