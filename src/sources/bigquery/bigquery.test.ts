import { feedSuite } from "../../../test/conformance/feed-source.ts";
import { bigqueryHarness } from "../../../test/fakes/bigquery/harness.ts";

feedSuite("BigQuery", bigqueryHarness);
