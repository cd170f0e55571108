// What goes wrong between a client and a server that speaks HTTP, by a script.

/** `lost`: the work is done, and the connection ends without an answer. `refused`: it ends before anything is done. */
export type HttpFault<Answer> =
  | { readonly kind: "lost" | "refused" }
  | { readonly kind: "status"; readonly status: number }
  | { readonly kind: "answer"; readonly answer: Answer };

export interface ScriptedFault<Request, Answer> {
  /** Which request it is for. */
  readonly at: (request: Request) => boolean;
  readonly fault: HttpFault<Answer>;
  /** How many of them. */
  times: number;
}

export class HttpFaults<Request, Answer> {
  readonly #script: ScriptedFault<Request, Answer>[] = [];

  add(at: (request: Request) => boolean, fault: HttpFault<Answer>, times = 1): void {
    this.#script.push({ at, fault, times });
  }

  /** The first of the script that is for this request, and counts it. */
  take(request: Request): HttpFault<Answer> | null {
    const found = this.#script.find(({ at, times }) => times > 0 && at(request));
    if (found === undefined) return null;
    found.times -= 1;
    return found.fault;
  }

  /** Whether all that was scripted has happened. */
  get done(): boolean {
    return this.#script.every(({ times }) => times === 0);
  }
}
