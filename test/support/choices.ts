/** Numbers that decide; when they are used up, each decision is the simplest one. */
export class Choices {
  readonly #numbers: readonly number[];
  #at = 0;

  constructor(numbers: readonly number[]) {
    this.#numbers = numbers;
  }

  /** 0 to `below` − 1. */
  upTo(below: number): number {
    const number = this.#numbers[this.#at] ?? 0;
    this.#at += 1;
    return number % below;
  }

  of<T>(items: readonly T[]): T {
    return items[this.upTo(items.length)]!;
  }

  /** Once in `n`, and never in the simplest case. */
  oneIn(n: number): boolean {
    return this.upTo(n) === n - 1;
  }
}
