import process from "node:process";
import { feedSuite } from "../../../test/conformance/feed-source.ts";
import { accountHarness, bigqueryAccount } from "../../../test/fakes/bigquery/account.ts";
import { bigqueryHarness } from "../../../test/fakes/bigquery/harness.ts";

feedSuite("BigQuery", bigqueryHarness);

const account = bigqueryAccount(process.env);
if (account !== null) feedSuite("a BigQuery project", () => accountHarness(account));
