import type { HttpAnswer, HttpRequest } from "../../http/client.ts";
import type { SecretSetting } from "../settings.ts";
import type { Secret } from "./secret.ts";

/** Says with each request who we are. One is shared by all writers of a destination. */
export interface Authorization {
  /** The headers that a request needs. @throws TailraceError `secret.unavailable`, `destination.auth`, or what kept it from a token. */
  headers(request: SignedRequest, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** The vendor refused these headers. True: there are others to be had, and the request is worth sending again. */
  refused(headers: Readonly<Record<string, string>>): Promise<boolean>;
  /** A request with the present headers was answered. */
  accepted?(): void;
  /** Wrong credentials are answered 403 as well, and not only what right ones may not do. */
  readonly refusedBy403?: boolean;
  /** Where the API is, when only the token's answer says; asked after `headers`. */
  readonly origin?: string | undefined;
}

export interface SignedRequest {
  readonly method: string;
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Buffer | null;
}

/** What making an authorization may use. */
export interface AuthContext {
  /** `name`: the setting's, for errors. */
  secret(setting: SecretSetting, name: string): Secret;
  send(request: HttpRequest, signal: AbortSignal): Promise<HttpAnswer>;
  /** {@link VendorDefinition.origin}, or the `base_url` in its place. */
  readonly baseUrl: string;
}
