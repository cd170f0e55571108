import { readFile } from "node:fs/promises";
import * as z from "zod";
import { closest } from "../../contracts/did-you-mean.ts";
import { dbtColumnTest, type DbtColumnTest, dbtNode, type DbtNode } from "./node.ts";

const OLDEST = 9;

const metadata = z.object({
  dbt_schema_version: z.string(),
  dbt_version: z.string().nullish(),
  generated_at: z.string(),
  invocation_id: z.string().nullish(),
});

const file = z.object({
  metadata,
  nodes: z.record(z.string(), z.unknown()),
  disabled: z.record(z.string(), z.unknown()).nullish(),
});

/** What is wrong with dbt's files, or with what was asked of them. */
export interface DbtProblem {
  /** A sentence about the thing that was asked for, without its name. */
  readonly problem: string;
  readonly fix: string;
}

export type Found = { readonly node: DbtNode } | DbtProblem;

/** dbt's manifest.json: what the project has, as of when dbt last read it. */
export class Manifest {
  readonly generatedAt: string;
  readonly invocation: string | null;
  readonly #nodes: Readonly<Record<string, unknown>>;
  readonly #disabled: readonly string[];
  #tests: readonly DbtColumnTest[] | null = null;

  constructor({ metadata: about, nodes, disabled }: z.output<typeof file>) {
    this.generatedAt = about.generated_at;
    this.invocation = about.invocation_id ?? null;
    this.#nodes = nodes;
    this.#disabled = Object.keys(disabled ?? {});
  }

  /** The model of this name: `NAME`, `PROJECT.NAME` or its id, `model.PROJECT.NAME`; each with `.vN` for a version that is not the latest. */
  model(name: string): Found {
    const named = this.#modelIds().filter((id) => isNamed(id, name));
    const ids = named.length > 0 ? named : this.#latestOf(name);
    const [id, another] = ids;
    if (another !== undefined) {
      return {
        problem: `is in more than one package: ${ids.join(", ")}`,
        fix: `write \`dbt: ${another.replace(/^model\./, "")}\`, for example.`,
      };
    }
    if (id !== undefined) return this.#read(id);
    if (this.#disabled.some((other) => isNamed(other, name)))
      return { problem: "is disabled in dbt", fix: "enable it there (`enabled: true`), or remove the model here." };
    const near = closest(
      name,
      this.#modelIds().flatMap((other) => [other.split(".").slice(2).join("."), other.replace(/^model\./, "")]),
    );
    const suggestion = near === null ? "" : `; did you mean \`${near}\`?`;
    const fix =
      near === null
        ? "check the name; `dbt ls --resource-type model` lists them. After a new model, run `dbt parse`."
        : `write \`dbt: ${near}\`.`;
    return { problem: `is not in dbt's manifest of ${this.generatedAt}${suggestion}`, fix };
  }

  node(id: string): DbtNode | null {
    const parsed = dbtNode.safeParse(this.#nodes[id]);
    return parsed.success ? parsed.data : null;
  }

  /** Tests of one column. */
  get tests(): readonly DbtColumnTest[] {
    this.#tests ??= Object.entries(this.#nodes).flatMap(([id, node]) => {
      const parsed = id.startsWith("test.") ? dbtColumnTest.safeParse(node) : null;
      return parsed?.success ? [parsed.data] : [];
    });
    return this.#tests;
  }

  #read(id: string): Found {
    const parsed = dbtNode.safeParse(this.#nodes[id]);
    if (parsed.success) return { node: parsed.data };
    const at = parsed.error.issues[0]?.path.join(".") ?? "";
    return { problem: `is written in dbt's manifest in a way that is not known, at \`${at}\``, fix: TELL_US };
  }

  #modelIds(): readonly string[] {
    return Object.keys(this.#nodes).filter((id) => id.startsWith("model."));
  }

  /** A name without a version is the latest's. */
  #latestOf(name: string): readonly string[] {
    return this.#modelIds().filter((id) => {
      const [unversioned, version] = splitVersion(id);
      if (version === null || !isNamed(unversioned, name)) return false;
      const latest = this.node(id)?.latest_version;
      return latest !== null && latest !== undefined && String(latest) === version;
    });
  }
}

const TELL_US = "is the file dbt's own? If it is, this is a defect of Tailrace: please report it.";

function isNamed(id: string, name: string): boolean {
  const [kind, project, ...rest] = id.split(".");
  const short = rest.join(".");
  return kind === "model" && [short, `${project}.${short}`, id].includes(name);
}

function splitVersion(id: string): [id: string, version: string | null] {
  const [, before, version] = /^(model\.[^.]+\.[^.]+)\.v(.+)$/.exec(id) ?? [];
  return before === undefined || version === undefined ? [id, null] : [before, version];
}

/** Reads a manifest.json. `shown`: the path, for messages. */
export async function readManifest(path: string, shown: string): Promise<Manifest | DbtProblem> {
  let text: string;
  try {
    text = await readFile(path, "utf8");
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? "unknown error";
    return {
      problem: `needs dbt's manifest, and ${shown} cannot be read (${code})`,
      fix: "run `dbt parse` or `dbt build` in the dbt project, or correct the path under `dbt:`.",
    };
  }
  const parsed = file.safeParse(parseJson(text));
  const version = parsed.success ? /\/manifest\/v(\d+)/.exec(parsed.data.metadata.dbt_schema_version)?.[1] : undefined;
  if (!parsed.success || version === undefined) {
    return { problem: `needs dbt's manifest, and ${shown} is none`, fix: "name the `manifest.json` that dbt wrote." };
  }
  if (Number(version) < OLDEST) {
    return {
      problem: `needs a manifest of dbt 1.5 or later; ${shown} is of version ${version}`,
      fix: "run `dbt parse` with a newer dbt.",
    };
  }
  return new Manifest(parsed.data);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}
