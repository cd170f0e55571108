import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import type { Lookup } from "../../kit/vendor/lookup.ts";
import type { Session } from "../../kit/vendor/session.ts";
import { recordIds } from "./record-ids.ts";
import type { Association } from "./settings.ts";

/** Associates records that were just written with records of other objects. */
export class Associations {
  readonly #from: string;
  readonly #all: readonly { readonly association: Association; readonly ids: Lookup | null }[];

  constructor(from: string, associations: readonly Association[]) {
    this.#from = from;
    this.#all = associations.map((association) => ({
      association,
      ids: association.by === "hs_object_id" ? null : recordIds(association.to, association.by),
    }));
  }

  get none(): boolean {
    return this.#all.length === 0;
  }

  /** `written`: the record's id, by place. A row whose association is not made is sent again, all of it. */
  async make(
    rows: readonly Delivery[],
    outcomes: readonly Outcome[],
    written: readonly (string | undefined)[],
    session: Session,
  ): Promise<readonly Outcome[]> {
    const after = [...outcomes];
    for (const { association, ids } of this.#all) {
      const wanted: { readonly place: number; readonly from: string; readonly key: string }[] = [];
      for (const [place, row] of rows.entries()) {
        const key = valueOf(row, association.field);
        const from = written[place];
        if (after[place]!.status === "delivered" && from !== undefined && key !== null)
          wanted.push({ place, from, key });
      }
      if (wanted.length === 0) continue;
      const known =
        (await ids?.ids(
          wanted.map(({ key }) => key),
          session,
        )) ?? null;
      const pairs = wanted.flatMap(({ place, from, key }) => {
        const to = known === null ? key : known.get(key);
        if (to !== undefined) return [{ place, from, to }];
        after[place] = again(`The record of ${association.to} that it is to be associated with is not there (yet)`);
        return [];
      });
      if (pairs.length === 0) continue;
      const made = await this.#request(association, pairs, session);
      for (const { place, from, to } of pairs)
        if (!made.has(`${from} ${to}`)) after[place] = again(`HubSpot did not associate it with ${association.to}`);
    }
    return after;
  }

  /** The pairs that the answer says are associated, as `FROM TO`. */
  async #request(
    { to, type, category }: Association,
    pairs: readonly { readonly from: string; readonly to: string }[],
    session: Session,
  ): Promise<ReadonlySet<string>> {
    const types =
      type === undefined ? "" : `,"types":[{"associationCategory":"${category}","associationTypeId":${type}}]`;
    const inputs = pairs.map(
      (pair) => `{"from":{"id":${jsonString(pair.from)}},"to":{"id":${jsonString(pair.to)}}${types}}`,
    );
    const path = `/crm/v4/associations/${encodeURIComponent(this.#from)}/${encodeURIComponent(to)}/batch`;
    const answer = await session.request({
      method: "POST",
      path: `${path}/${type === undefined ? "associate/default" : "create"}`,
      body: `{"inputs":[${inputs.join(",")}]}`,
    });
    const made = new Set<string>();
    for (const result of memberList(answer.object(), "results")) {
      const from = memberText(result, "fromObjectId") ?? idOf(result, "from");
      made.add(`${from} ${memberText(result, "toObjectId") ?? idOf(result, "to")}`);
    }
    return made;
  }
}

function idOf(result: unknown, side: "from" | "to"): string | undefined {
  return memberText((result as Readonly<Record<string, unknown>>)[side], "id");
}

/** null: nothing to associate with. */
function valueOf({ record }: Delivery, field: string): string | null {
  const value = record.values[record.shape.fields.findIndex(({ name }) => name === field)];
  return typeof value === "string" && value !== "" ? value : null;
}

function again(message: string): Outcome {
  return { status: "retry", error: new TailraceError("destination.unavailable", message) };
}
