import { defineSource } from "../../contracts/source.ts";
import { FeedSource } from "../../kit/feed/feed-source.ts";
import { MaterializeWarehouse } from "./materialize-warehouse.ts";
import { settings } from "./settings.ts";

/** Nothing is polled: SUBSCRIBE says when there is something new. */
const POLL = { fastestMs: 1_000, slowestMs: 1_000 };

export default defineSource({
  type: "materialize",
  title: "Materialize (materialized views, views, tables, sources, queries)",
  settings,
  sharing: "model",
  create: (checked, context) =>
    new FeedSource({ warehouse: new MaterializeWarehouse(checked, context), poll: POLL, log: context.log }),
});
