import { feedSuite } from "../../../test/conformance/feed-source.ts";
import { accountHarness, fakeHarness } from "../../../test/fakes/snowflake/harness.ts";

for (const kind of ["streams", "changes"] as const) {
  feedSuite(`Snowflake by ${kind}`, () => fakeHarness(kind));
  const account = accountHarness(kind, process.env);
  if (account !== null) feedSuite(`Snowflake by ${kind}, in an account`, account);
}
