import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Secret } from "./secret.ts";
import { awsSigV4, sigV4Headers } from "./sigv4.ts";

const keys = { accessKeyId: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const at = new Date("2015-08-30T12:36:00Z");
const request = { method: "GET", origin: "https://example.amazonaws.com", path: "/", headers: {}, body: null };

// AWS's published test suite, aws-sig-v4-test-suite.
test.each([
  ["get-vanilla", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  [
    "get-vanilla-query-order-key-case",
    "/?Param2=value2&Param1=value1",
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
])("%s of AWS's test suite", (_, path, signature) => {
  const headers = sigV4Headers({ ...request, path }, keys, { region: "us-east-1", service: "service" }, at);
  expect(headers["authorization"]).toContain(`Signature=${signature}`);
});

// The example in the documentation of Amazon S3, "Authenticating Requests: Using the Authorization Header": GET Object.
test("an object of S3", () => {
  const headers = sigV4Headers(
    {
      ...request,
      origin: "https://examplebucket.s3.amazonaws.com",
      path: "/test.txt",
      headers: { range: "bytes=0-9" },
    },
    { accessKeyId: "AKIAIOSFODNN7EXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY" },
    { region: "us-east-1", service: "s3" },
    new Date("2013-05-24T00:00:00Z"),
  );
  expect(headers["authorization"]).toContain(
    "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41",
  );
});

test("of two requests that were signed with a key that is replaced, both are worth sending again; with the new one, none is", async () => {
  const folder = mkdtempSync(join(tmpdir(), "tailrace-sigv4-"));
  onTestFinished(() => rmSync(folder, { recursive: true }));
  const file = join(folder, "key");
  writeFileSync(file, "old");
  const secretAccessKey = new Secret({ file }, "secret_access_key", "/");
  const auth = awsSigV4({ accessKeyId: "A", secretAccessKey }, { region: "us-east-1", service: "s3" });
  const signal = new AbortController().signal;
  const [one, two] = [await auth.headers(request, signal), await auth.headers(request, signal)];
  writeFileSync(file, "new");
  expect([await auth.refused(one), await auth.refused(two)]).toEqual([true, true]);
  expect(await auth.refused(await auth.headers(request, signal))).toBe(false);
});
