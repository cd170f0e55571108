import { createPublicKey, generateKeyPairSync, randomBytes, verify } from "node:crypto";
import { expect, test } from "vitest";
import { Webhook } from "standardwebhooks";
import { delivery } from "../../../test/support/deliveries.ts";
import type { LedgerRequest } from "../../../test/support/ledger.ts";
import { startReceiver } from "../../../test/support/receiver.ts";
import { inTurn, OK, status } from "../../../test/support/receiver-script.ts";
import { openWebhook, people } from "../../../test/support/webhook.ts";
import { parseSecret } from "./signature.ts";

const signal = new AbortController().signal;
const newSecret = (bytes = 32) => `whsec_${randomBytes(bytes).toString("base64")}`;
const row = (id: string) => delivery({ shape: people, values: [id, "Zoë \u2028 \u{1F600}", "12.50", null] });

function verified(secret: string, { body, headers }: LedgerRequest): unknown {
  return new Webhook(secret).verify(body ?? "", { ...headers });
}

test.each(["single", "array", "ndjson"])(
  "%s: the official library verifies the first try and the retry",
  async (format) => {
    const secret = newSecret();
    await using receiver = await startReceiver({ script: inTurn([status(500), OK]) });
    const writer = await openWebhook({ url: receiver.url, secret, batch: { format } });
    const batch = format === "single" ? [row("1")] : [row("1"), row("2")];
    await expect(writer.write(batch, signal)).rejects.toMatchObject({ code: "destination.unavailable" });
    await writer.write(
      batch.map((one) => ({ ...one, attempt: 2 })),
      signal,
    );
    const [first, second] = receiver.requests() as [LedgerRequest, LedgerRequest];
    for (const request of [first, second]) {
      if (format === "ndjson")
        expect(() =>
          new Webhook(secret).verify(request.body ?? "", { ...request.headers }, { jsonParse: false }),
        ).not.toThrow();
      else expect(verified(secret, request)).toBeTruthy();
    }
    expect(second.headers["webhook-id"]).toBe(first.headers["webhook-id"]);
    expect(second.body).toBe(first.body);
    expect([first.headers["tailrace-attempt"], second.headers["tailrace-attempt"]]).toEqual(["1", "2"]);
    expect(first.headers["webhook-id"]).toMatch(/^[A-Za-z0-9_-]+$/);
  },
);

test("the same rows in another process have the same id; other rows never do", async () => {
  await using receiver = await startReceiver();
  const write = async (batch: ReturnType<typeof row>[]) => {
    const writer = await openWebhook({ url: receiver.url, batch: { format: "array" } });
    await writer.write(batch, signal);
    return receiver.requests().at(-1)?.headers["webhook-id"];
  };
  const [a, b, c] = [row("1"), row("2"), row("3")] as const;
  expect(await write([a, b])).toBe(await write([a, b]));
  const ids = new Set([
    await write([a]),
    await write([a, b]),
    await write([a, c]),
    await write([b, a]),
    await write([a, b, c]),
  ]);
  expect(ids.size).toBe(5);
});

test("while a secret is replaced, both the old and the new one verify", async () => {
  const [old, fresh] = [newSecret(24), newSecret(64)];
  await using receiver = await startReceiver();
  const writer = await openWebhook({ url: receiver.url, secret: [fresh, old] });
  await writer.write([row("1")], signal);
  const [request] = receiver.requests() as [LedgerRequest];
  expect(verified(old, request)).toBeTruthy();
  expect(verified(fresh, request)).toBeTruthy();
  expect(() => verified(newSecret(), request)).toThrow("No matching signature");
});

test("ed25519: the public key verifies", async () => {
  const { privateKey, publicKey } = generateKeyPairSync("ed25519");
  const { d, x } = privateKey.export({ format: "jwk" }) as { d: string; x: string };
  const seed = Buffer.from(d, "base64url");
  await using receiver = await startReceiver();
  for (const bytes of [seed, Buffer.concat([seed, Buffer.from(x, "base64url")])]) {
    const writer = await openWebhook({ url: receiver.url, secret: `whsk_${bytes.toString("base64")}` });
    await writer.write([row("1")], signal);
    const request = receiver.requests().at(-1) as LedgerRequest;
    const signed = `${request.headers["webhook-id"]}.${request.headers["webhook-timestamp"]}.${request.body}`;
    const [version, signature] = (request.headers["webhook-signature"] ?? "").split(",");
    expect(version).toBe("v1a");
    const key = createPublicKey(publicKey.export({ format: "pem", type: "spki" }));
    expect(verify(null, Buffer.from(signed), key, Buffer.from(signature ?? "", "base64"))).toBe(true);
  }
});

test.each([
  "",
  "whsec_",
  "whsec_short",
  newSecret(23),
  newSecret(65),
  "secret",
  `whsec_${"!".repeat(40)}`,
  `whsk_${randomBytes(31).toString("base64")}`,
])("%j is not a secret", (text) => {
  expect(parseSecret(text)).toBeNull();
});
