import process from "node:process";
import { feedSuite } from "../../../test/conformance/feed-source.ts";
import { accountHarness } from "../../../test/fakes/materialize/account.ts";
import { materializeHarness } from "../../../test/fakes/materialize/harness.ts";

feedSuite("Materialize", () => materializeHarness({ table: "shop.t" }));

const url = process.env["TEST_MATERIALIZE_URL"];
if (url) feedSuite("a Materialize of your own", () => accountHarness(url));
