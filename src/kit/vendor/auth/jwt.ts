import { createPrivateKey, sign } from "node:crypto";
import { TailraceError } from "../../../contracts/errors.ts";
import type { AuthContext } from "./authorization.ts";
import type { Secret } from "./secret.ts";
import { TokenAuthorization, askForToken, withSecrets } from "./token.ts";

export interface JwtGrant {
  /** The token endpoint. */
  readonly url: string;
  /** Who the private key (PEM, RSA) belongs to and whom it speaks for: `iss`, `sub`, `aud`, `scope`. */
  readonly claims: Readonly<Record<string, string>>;
  /** For how long the assertion itself holds, in s. Default: 300. */
  readonly lastsSeconds?: number;
}

/** A JSON Web Token signed with a private key, exchanged for an access token (RFC 7523): service accounts. */
export function jwtBearer(
  context: AuthContext,
  key: Secret,
  grantOf: (key: string) => JwtGrant & { readonly privateKey: string },
): TokenAuthorization {
  return new TokenAuthorization((signal) =>
    withSecrets([key], async ([text = ""]) => {
      const { url, claims, lastsSeconds = 300, privateKey } = grantOf(text);
      const now = Math.floor(Date.now() / 1000);
      const assertion = signedJwt({ ...claims, iat: now, exp: now + lastsSeconds }, privateKey);
      return askForToken(
        context,
        url,
        { grant_type: "urn:ietf:params:oauth:grant-type:jwt-bearer", assertion },
        signal,
      );
    }),
  );
}

/** RS256. @throws TailraceError `destination.auth` when the key is none. */
export function signedJwt(claims: Readonly<Record<string, string | number>>, privateKey: string): string {
  const part = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString("base64url");
  const text = `${part({ alg: "RS256", typ: "JWT" })}.${part(claims)}`;
  try {
    return `${text}.${sign("sha256", Buffer.from(text), createPrivateKey(privateKey)).toString("base64url")}`;
  } catch {
    // The reason could quote the key.
    throw new TailraceError("destination.auth", "The private key cannot be read: it is to be a PEM text");
  }
}
