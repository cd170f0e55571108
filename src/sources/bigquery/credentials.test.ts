import { generateKeyPairSync } from "node:crypto";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { JWT } from "google-auth-library";
import { expect, it } from "vitest";
import { identityOf } from "./credentials.ts";
import { settings } from "./settings.ts";

const KEY = {
  type: "service_account",
  project_id: "shop-eu",
  client_email: "tailrace@shop-eu.iam.gserviceaccount.com",
  private_key_id: "k1",
  private_key: generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }),
};

it("takes a service account's key as text, or from a file, and the project that it names", async () => {
  const folder = await mkdtemp(join(tmpdir(), "tailrace-test-key-"));
  try {
    await writeFile(join(folder, "key.json"), JSON.stringify(KEY));
    for (const given of [{ key: JSON.stringify(KEY) }, { key: { file: "key.json" } }, { key_file: "key.json" }]) {
      const identity = await identityOf(settings.parse(given), folder);
      expect(identity?.project).toBe("shop-eu");
      expect((identity!.authClient as JWT).email).toBe(KEY.client_email);
    }
    await expect(identityOf(settings.parse({ key_file: "other.json" }), folder)).rejects.toThrow(
      "the key file other.json cannot be read (ENOENT)",
    );
  } finally {
    await rm(folder, { recursive: true });
  }
});

it("says what is no key, without a word of it", async () => {
  for (const key of [
    '{"type":"service_account","private_key":',
    '{"type":"authorized_user","refresh_token":"hidden"}',
    '"hidden"',
  ]) {
    const error = await identityOf(settings.parse({ key }), ".").catch((failure: unknown) => failure);
    expect(error).toMatchObject({ code: "source.config" });
    expect(String(error)).not.toMatch(/hidden|private_key/);
  }
});

it("leaves it to Google's library without one, and asks an emulator as nobody", async () => {
  expect(await identityOf(settings.parse({}), ".")).toBeNull();
  expect(await identityOf(settings.parse({ api_endpoint: "http://127.0.0.1:9050" }), ".")).toMatchObject({
    project: null,
  });
});

it("sends no token over http but to this machine", () => {
  const given = { key: "{}", api_endpoint: "http://bigquery.example.com" };
  expect(settings.safeParse(given).error?.issues[0]?.path).toEqual(["api_endpoint"]);
  expect(settings.safeParse({ ...given, api_endpoint: "http://127.0.0.1:9050" }).success).toBe(true);
});
