// Holds requests to a vendor's own description of its API.
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { OpenAPIBackend, type Document, type Request } from "openapi-backend";
import { parse } from "yaml";

const FOLDER = process.env["VENDOR_SPECS"] ?? join(import.meta.dirname, "..", "..", "..", "..", "shared", "specs");

export interface Description {
  /**
   * What is wrong with a request by the description; null: nothing. undefined: the description has no such operation.
   */
  faults(request: ValidatedRequest): readonly string[] | null | undefined;
}

export interface ValidatedRequest {
  readonly method: string;
  /** With its query. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Whether the file is on this machine: `hubspot-objects-v3.json`. Tests that need it skip, saying so, where it is not. */
export function hasDescription(file: string): boolean {
  return existsSync(join(FOLDER, file));
}

/**
 * `jsonTypes`: media types of the description that are JSON under another name (`application/vnd.api+json`). `mend` corrects what the
 * description has wrong, or stricter than the API is.
 */
export async function loadDescription(
  file: string,
  options: { readonly jsonTypes?: readonly string[]; readonly mend?: (document: Document) => void } = {},
): Promise<Description> {
  const text = readFileSync(join(FOLDER, file), "utf8");
  const document = (file.endsWith(".json") ? JSON.parse(text) : parse(text)) as Document;
  for (const node of objectsIn(document)) clean(node, options.jsonTypes ?? []);
  options.mend?.(document);
  const backend = new OpenAPIBackend({
    definition: document,
    // Descriptions are seldom flawless by the standard's own schema.
    quick: true,
    coerceTypes: false,
    ajvOpts: { strict: false, validateFormats: false },
  });
  await backend.init();
  return {
    faults({ method, url, headers, body }) {
      const contentType = (headers["content-type"] ?? "").split(";")[0]!.trim();
      const request: Request = {
        method,
        path: url,
        query: queryOf(url),
        headers: {
          ...headers,
          ...(options.jsonTypes?.includes(contentType) === true && { "content-type": "application/json" }),
        },
        ...(body === "" ? {} : { body }),
      };
      if (backend.matchOperation(request) === undefined) return undefined;
      const { valid, errors } = backend.validateRequest(request);
      if (valid) return null;
      return (errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message ?? ""}`);
    },
  };
}

/** By its names as they are: `page[size]` is one, and no object. A name that comes more than once has a list. */
function queryOf(url: string): Record<string, string | string[]> {
  const query: Record<string, string | string[]> = {};
  const { searchParams } = new URL(url, "http://vendor");
  for (const name of new Set(searchParams.keys())) {
    const values = searchParams.getAll(name);
    query[name] = values.length === 1 ? values[0]! : values;
  }
  return query;
}

type Node = Record<string, unknown>;

/** `nullable` without a type makes ajv fail, a body of another media type is not looked at, and a query's numbers are texts. */
function clean(node: Node, jsonTypes: readonly string[]): void {
  if (node["in"] === "query" && (node["schema"] as Node | undefined)?.["type"] === "integer")
    node["schema"] = { type: "string", pattern: "^-?\\d+$" };
  if ("nullable" in node && !("type" in node)) delete node["nullable"];
  for (const type of jsonTypes)
    if (type in node && !("application/json" in node)) node["application/json"] = node[type];
}

function* objectsIn(value: unknown): Generator<Node> {
  if (typeof value !== "object" || value === null) return;
  if (!Array.isArray(value)) yield value as Node;
  for (const item of Object.values(value)) yield* objectsIn(item);
}
