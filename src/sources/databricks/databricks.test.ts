import { feedSuite } from "../../../test/conformance/feed-source.ts";
import { databricksHarness } from "../../../test/fakes/databricks/harness.ts";

feedSuite("Databricks (legacy feed)", () => databricksHarness({ "delta.enableChangeDataFeed": "true" }));
feedSuite("Databricks (automatic feed)", () => databricksHarness({ "delta.enableRowTracking": "true" }));
