import type { Authorization } from "./authorization.ts";
import type { Secret } from "./secret.ts";

/** Without credentials. */
export const noAuth: Authorization = { headers: async () => ({}), refused: async () => false };

/** `{ [name]: prefix + secret }`, the name in lower case. */
export function apiKey(name: string, secret: Secret, prefix = ""): Authorization {
  return {
    headers: async () => ({ [name]: prefix + (await secret.value()) }),
    refused: (headers) => secret.refused((headers[name] ?? "").slice(prefix.length)),
  };
}

export function bearer(secret: Secret): Authorization {
  return apiKey("authorization", secret, "Bearer ");
}

/** `password` null: none is sent. */
export function basic(user: string | Secret, password: Secret | null): Authorization {
  let sent: { readonly header: string; readonly user: string; readonly password: string } | null = null;
  return {
    async headers() {
      const parts = {
        user: typeof user === "string" ? user : await user.value(),
        password: (await password?.value()) ?? "",
      };
      if (sent?.user !== parts.user || sent.password !== parts.password) {
        const text = Buffer.from(`${parts.user}:${parts.password}`).toString("base64");
        sent = { header: `Basic ${text}`, ...parts };
      }
      return { authorization: sent.header };
    },
    async refused({ authorization }) {
      if (sent === null || sent.header !== authorization) return true;
      const parts = sent;
      const news = await Promise.all([
        typeof user === "string" ? false : user.refused(parts.user),
        password === null ? false : password.refused(parts.password),
      ]);
      return news.includes(true);
    },
  };
}
