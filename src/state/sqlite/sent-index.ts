import type { SentIndex, SentRecord } from "../../contracts/sent-index.ts";
import type { WorkerLink } from "./worker-link.ts";

/** The index of one sync, kept by the worker. Lists go there as JSON: one text is copied between threads faster than many. */
export class SqliteSentIndex implements SentIndex {
  readonly isNew: boolean;
  readonly rows: number;
  readonly #link: WorkerLink;
  readonly #owner: string;
  readonly #id: number;

  constructor(
    link: WorkerLink,
    owner: string,
    opened: { readonly id: number; readonly isNew: boolean; readonly rows: number },
  ) {
    this.#link = link;
    this.#owner = owner;
    this.#id = opened.id;
    this.isNew = opened.isNew;
    this.rows = opened.rows;
  }

  async announce(records: readonly SentRecord[], generation: number): Promise<{ readonly added: number }> {
    const plain: string[] = [];
    const detailed: [string, readonly string[]][] = [];
    for (const { key, identity } of records) {
      if (identity === null) plain.push(key);
      else detailed.push([key, identity]);
    }
    const text = (list: readonly unknown[]): string | null => (list.length === 0 ? null : JSON.stringify(list));
    const added = await this.#link.call("announceSent", this.#owner, this.#id, generation, text(plain), text(detailed));
    return { added };
  }

  known(keys: readonly string[]) {
    return this.#link.call("knownSent", this.#owner, this.#id, JSON.stringify(keys));
  }

  forget(keys: readonly string[]) {
    return this.#link.call("forgetSent", this.#owner, this.#id, JSON.stringify(keys));
  }

  others(generation: number, after: string | null) {
    return this.#link.call("otherSent", this.#owner, this.#id, generation, after);
  }
}
