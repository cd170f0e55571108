import { refused } from "./syntax.ts";

/** The WITH queries that can be named at a place. */
export class Names {
  #known: ReadonlyMap<string, string> = new Map();

  /** Until what it returns is called, what is added stays. */
  enter(): () => void {
    const before = this.#known;
    return () => {
      this.#known = before;
    };
  }

  add(name: string): void {
    this.#known = new Map([...this.#known, [name.toLowerCase(), name]]);
  }

  /** Throws where it depends on the server whether it is one. */
  isCommon(name: string, node: unknown): boolean {
    const spelled = this.#known.get(name.toLowerCase());
    if (spelled === undefined) return false;
    if (spelled !== name) throw refused(`${name}, where ${spelled} is a WITH query`, node, "write them alike");
    return true;
  }
}
