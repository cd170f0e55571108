import process from "node:process";
import { feedSuite } from "../../../test/conformance/feed-source.ts";
import { accountHarness, databricksAccount } from "../../../test/fakes/databricks/account.ts";
import { databricksHarness } from "../../../test/fakes/databricks/harness.ts";
import { AUTOMATIC, LEGACY } from "../../../test/fakes/databricks/source.ts";

feedSuite("Databricks (legacy feed)", () => databricksHarness(LEGACY));
feedSuite("Databricks (automatic feed)", () => databricksHarness(AUTOMATIC));

const account = databricksAccount(process.env);
if (account !== null) {
  feedSuite("a Databricks workspace (legacy feed)", () => accountHarness(account, LEGACY));
  feedSuite("a Databricks workspace (automatic feed)", () => accountHarness(account, AUTOMATIC));
}
