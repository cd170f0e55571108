import { createHmac, createPrivateKey, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import * as z from "zod";

export type SigningSecret =
  | { readonly kind: "v1"; readonly key: Buffer }
  | { readonly kind: "v1a"; readonly key: KeyObject };

/** A Standard Webhooks secret: `whsec_` (HMAC-SHA256) or `whsk_` (ed25519); null when it is neither. */
export function parseSecret(text: string): SigningSecret | null {
  const [, prefix, base64] = /^(whsec_|whsk_)([A-Za-z0-9+/]+={0,2})$/.exec(text) ?? [];
  if (prefix === undefined || base64 === undefined) return null;
  const bytes = Buffer.from(base64, "base64");
  if (prefix === "whsec_") return bytes.length >= 24 && bytes.length <= 64 ? { kind: "v1", key: bytes } : null;
  // 32 bytes are the seed; 64 are the seed and the public key after it.
  if (bytes.length !== 32 && bytes.length !== 64) return null;
  const der = Buffer.concat([Buffer.from("302e020100300506032b657004220420", "hex"), bytes.subarray(0, 32)]);
  return { kind: "v1a", key: createPrivateKey({ key: der, format: "der", type: "pkcs8" }) };
}

/** The setting, for everything that signs. */
export const signingSecretSetting = z
  .string()
  .refine((value) => parseSecret(value) !== null, {
    error:
      "Not a signing secret: `whsec_` and 24 to 64 bytes in base64, or `whsk_` and an ed25519 key in base64. Make one with `echo whsec_$(openssl rand -base64 32)`.",
  })
  .meta({ secret: true });

/** The `webhook-signature` header over exactly these bytes: one signature a secret, parted by spaces. */
export function signatureHeader(
  secrets: readonly SigningSecret[],
  id: string,
  timestamp: string,
  body: Buffer,
): string {
  const head = `${id}.${timestamp}.`;
  return secrets
    .map((secret) => {
      if (secret.kind === "v1")
        return `v1,${createHmac("sha256", secret.key).update(head).update(body).digest("base64")}`;
      return `v1a,${sign(null, Buffer.concat([Buffer.from(head), body]), secret.key).toString("base64")}`;
    })
    .join(" ");
}
