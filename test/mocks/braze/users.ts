// Users as Braze keeps them: by whichever identifier they came with.
import { plainText } from "../support/exact-json.ts";

export type Item = Readonly<Record<string, unknown>>;

export interface Alias {
  readonly alias_name: string;
  readonly alias_label: string;
}

interface User {
  readonly alias: Alias | null;
  readonly attributes: Record<string, unknown>;
}

const SINGLE = ["external_id", "braze_id", "email", "phone"] as const;
const LISTS: Readonly<Record<string, string>> = {
  external_ids: "external_id",
  braze_ids: "braze_id",
  email_addresses: "email",
  phone_numbers: "phone",
};

export class BrazeUsers {
  /** The last updated last. */
  readonly #users: User[] = [];

  static identifies(object: Item): boolean {
    return object["user_alias"] !== undefined || SINGLE.some((name) => plainText(object[name]) !== null);
  }

  /** Attributes as texts, the parts of an alias among them. */
  all(): readonly Record<string, string | null>[] {
    return this.#users.map(({ alias, attributes }) => ({
      ...Object.fromEntries(Object.entries(attributes).map(([name, value]) => [name, plainText(value)])),
      ...alias,
    }));
  }

  clear(): void {
    this.#users.length = 0;
  }

  write(object: Item): void {
    const { user_alias, _update_existing_only, ...attributes } = object;
    const alias = (user_alias ?? null) as Alias | null;
    // Of an alias, Braze only updates unless it is told otherwise.
    const existingOnly = (_update_existing_only ?? alias !== null) === true || attributes["braze_id"] !== undefined;
    let user = this.#find(attributes, alias);
    if (user === undefined) {
      if (existingOnly) return;
      user = { alias, attributes: {} };
    } else this.#users.splice(this.#users.indexOf(user), 1);
    this.#users.push(user);
    for (const [name, value] of Object.entries(attributes)) {
      if (value === null) delete user.attributes[name];
      else user.attributes[name] = value;
    }
  }

  /** `kind`: `external_ids`, `user_aliases`, … Whether there was one. */
  delete(kind: string, id: string | Alias | Item): boolean {
    const field = LISTS[kind];
    const user =
      field === undefined
        ? this.#find({}, id as Alias)
        : this.#find(typeof id === "string" ? { [field]: id } : { [field]: (id as Item)[field] }, null);
    if (user !== undefined) this.#users.splice(this.#users.indexOf(user), 1);
    return user !== undefined;
  }

  /** Of several, the one that was updated last. */
  #find(attributes: Item, alias: Alias | null): User | undefined {
    if (alias !== null)
      return this.#users.findLast(
        (user) => user.alias?.alias_name === alias.alias_name && user.alias.alias_label === alias.alias_label,
      );
    const name = SINGLE.find((each) => plainText(attributes[each]) !== null)!;
    const key = plainText(attributes[name]);
    return this.#users.findLast((user) => plainText(user.attributes[name]) === key);
  }
}
