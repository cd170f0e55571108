// Who asks BigQuery: a key that is configured, or what Google's library finds by itself.
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import type { AuthClient, AwsClientOptions, IdentityPoolClientOptions } from "google-auth-library";
import { TailraceError } from "../../contracts/errors.ts";
import { readSecret } from "../../kit/secret.ts";
import { loadAuth } from "./library.ts";
import type { Settings } from "./settings.ts";

/** The parts of a credential file that tell its kind, and those of a service account's. */
interface Credential {
  readonly type?: string;
  readonly project_id?: string;
  readonly client_email?: string;
  readonly private_key?: string;
  readonly private_key_id?: string;
  readonly credential_source?: { readonly environment_id?: string };
}

export interface Identity {
  readonly authClient: AuthClient;
  /** The project that the credentials are of, where they say so. */
  readonly project: string | null;
}

const SCOPES = ["https://www.googleapis.com/auth/bigquery"];

/** Read anew at each call. null: application default credentials. */
export async function identityOf(settings: Settings, baseDirectory: string): Promise<Identity | null> {
  const { key, key_file, api_endpoint } = settings;
  if (key === undefined && key_file === undefined) return api_endpoint?.startsWith("http:") === true ? NOBODY : null;
  const json =
    key_file !== undefined
      ? await readKey(resolve(baseDirectory, key_file), key_file)
      : typeof key === "string"
        ? key
        : await readSecret(key!, "key", baseDirectory);
  const credential = parsed(json);
  return { authClient: await clientOf(credential), project: credential.project_id ?? null };
}

async function clientOf(credential: Credential): Promise<AuthClient> {
  const { JWT, IdentityPoolClient, AwsClient } = await loadAuth();
  const { type, client_email: email, private_key: key, private_key_id: keyId } = credential;
  if (type === "service_account" && email !== undefined && key !== undefined)
    return new JWT({ email, key, scopes: SCOPES, ...(keyId === undefined ? {} : { keyId }) });
  if (type !== "external_account")
    throw new TailraceError(
      "source.config",
      "the key is neither a service account's nor of workload identity federation; for any other kind leave it out, and let GOOGLE_APPLICATION_CREDENTIALS name the file",
    );
  const options = { ...credential, scopes: SCOPES } as unknown as IdentityPoolClientOptions & AwsClientOptions;
  return credential.credential_source?.environment_id === undefined
    ? new IdentityPoolClient(options)
    : new AwsClient(options);
}

/** An emulator asks for nothing, and the library would look for credentials all over the machine. */
const NOBODY: Identity = {
  authClient: { getRequestHeaders: () => Promise.resolve(new Headers()) } as unknown as AuthClient,
  project: null,
};

function parsed(json: string): Credential {
  try {
    const value: unknown = JSON.parse(json);
    if (typeof value === "object" && value !== null) return value;
  } catch {
    // Its own message repeats a part of the text.
  }
  throw new TailraceError("source.config", "the key is no JSON of a service account");
}

async function readKey(path: string, name: string): Promise<string> {
  try {
    return await readFile(path, "utf8");
  } catch (error) {
    throw new TailraceError(
      "source.config",
      `the key file ${name} cannot be read (${(error as NodeJS.ErrnoException).code ?? "error"})`,
    );
  }
}
