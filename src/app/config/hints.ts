import { closest } from "../../contracts/did-you-mean.ts";
import type { Path } from "./tree.ts";

interface Hint {
  /** The key that does what was wanted; null when there is none. */
  readonly key: string | null;
  readonly fix: string;
}

const rename = (key: string): Hint => ({ key, fix: `write \`${key}:\` instead.` });

const SCHEDULE =
  "remove it: changes are sent as they are committed. Where a model has to be compared, `every:` or `cron:` of the model says when.";

/** What people write who know other tools, by the kind of thing they write it in. */
const OTHER_WORDS: Readonly<Record<string, Readonly<Record<string, Hint>>>> = {
  syncs: {
    mapping: rename("map"),
    mappings: rename("map"),
    fields: rename("map"),
    columns: rename("map"),
    filter: rename("where"),
    condition: rename("where"),
    from: rename("model"),
    to: rename("destination"),
    type: rename("mode"),
    deletes: rename("on_delete"),
    identifier: rename("match"),
    retries: rename("attempts"),
    table: { key: null, fix: "a sync names a model; put `table:` into the model." },
    source: { key: null, fix: "a sync names a model, and the model its source: write `model:`." },
    key: { key: null, fix: "`key:` belongs to the model; the destination's identifying field is `match:`." },
    sql: { key: null, fix: "a sync names a model; put `sql:` and its `key:` into the model." },
    dbt: { key: null, fix: "a sync names a model; put `dbt:` into the model." },
    schedule: { key: null, fix: SCHEDULE },
    interval: { key: null, fix: SCHEDULE },
    every: { key: null, fix: SCHEDULE },
    cron: { key: null, fix: SCHEDULE },
    rate: { key: null, fix: "`rate:` belongs to the destination, whose syncs share it." },
    concurrency: { key: null, fix: "`concurrency:` belongs to the destination, whose syncs share it." },
    default: { key: null, fix: "use a template: `{ template: \"{{ column | default: 'x' }}\" }`." },
  },
  models: {
    primary_key: rename("key"),
    unique_key: rename("key"),
    dbt_model: rename("dbt"),
    schedule: rename("cron"),
    interval: rename("every"),
    query: rename("sql"),
    relation: rename("table"),
    view: rename("table"),
    connection: rename("source"),
  },
  "": {
    source: rename("sources"),
    model: rename("models"),
    destination: rename("destinations"),
    sync: rename("syncs"),
    connections: rename("sources"),
    targets: rename("destinations"),
    project: rename("name"),
    version: { key: null, fix: "remove it: the file has no version." },
  },
};

export interface KeyAdvice {
  readonly meant: string | null;
  readonly fix: string;
}

/** What to do about an unknown key, given the ones that are known there. */
export function adviseOnKey(parent: Path, key: string, known: readonly string[]): KeyAdvice {
  const words = OTHER_WORDS[String(parent[0] ?? "")];
  const hint = words !== undefined && Object.hasOwn(words, key) ? words[key] : undefined;
  if (hint !== undefined && (hint.key === null || known.includes(hint.key))) return { meant: hint.key, fix: hint.fix };
  const meant = closest(key, known);
  if (meant !== null) return { meant, fix: `write \`${meant}:\` instead.` };
  if (known.length === 0) return { meant, fix: "remove it: there are no keys here." };
  return { meant, fix: `remove it, or use one of ${known.map((name) => `\`${name}\``).join(", ")}.` };
}
