import type { IndexedRow, RowIndex, RowPage, SentRow } from "../../contracts/row-index.ts";
import { partText } from "../../kit/row-index/key-parts.ts";
import type { OpenedRows } from "./indexed-rows.ts";
import { type FoundText, toFound, toText } from "./row-text.ts";
import type { WorkerLink } from "./worker-link.ts";

/** The index of one sync's rows, kept by the worker. */
export class SqliteRowIndex implements RowIndex {
  readonly isNew: boolean;
  readonly #link: WorkerLink;
  readonly #owner: string;
  readonly #id: number;
  #rows: number;

  constructor(link: WorkerLink, owner: string, opened: OpenedRows) {
    this.#link = link;
    this.#owner = owner;
    this.#id = opened.id;
    this.isNew = opened.isNew;
    this.#rows = opened.rows;
  }

  get rows(): number {
    return this.#rows;
  }

  async find(keys: readonly string[]): Promise<readonly (IndexedRow | null)[]> {
    const list = await this.#link.call("findRows", this.#owner, this.#id, JSON.stringify(keys));
    return (JSON.parse(list) as FoundText[]).map((text, at) => toFound(keys[at]!, text));
  }

  async announce(rows: readonly SentRow[]): Promise<readonly number[]> {
    const list = JSON.stringify(rows.map(toText));
    const { versions, rows: inIt } = await this.#link.call("announceRows", this.#owner, this.#id, list);
    this.#rows = inIt;
    return versions;
  }

  async confirm(rows: readonly { readonly key: string; readonly version: number }[]): Promise<void> {
    const list = JSON.stringify(rows.map(({ key, version }) => [key, version]));
    this.#rows = await this.#link.call("confirmRows", this.#owner, this.#id, list);
  }

  matching(places: readonly number[], values: readonly (readonly string[])[]): Promise<readonly string[]> {
    const texts = JSON.stringify(values.map(partText));
    return this.#link.call("matchingRows", this.#owner, this.#id, places, texts);
  }

  async page(after: string | null): Promise<RowPage> {
    const { list, isLast } = await this.#link.call("pageRows", this.#owner, this.#id, after);
    const rows = (JSON.parse(list) as [string, FoundText][]).map(([key, text]) => toFound(key, text)!);
    return { rows, next: isLast ? null : (rows.at(-1)?.key ?? null) };
  }
}
