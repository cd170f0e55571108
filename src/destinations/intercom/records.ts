import { DELIVERED, type Delivery, type Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import type { Operation } from "../../kit/vendor/definition.ts";
import { member, memberText } from "../../kit/vendor/json.ts";
import type { Lookup } from "../../kit/vendor/lookup.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";

const UNSAID: Outcome = {
  status: "retry",
  error: new TailraceError("destination.unavailable", "The answer does not say what became of this row"),
};

/** Contacts or companies: written one by one, by Intercom's own ids. */
export class Records {
  /** `/contacts` */
  readonly #path: string;
  /** null: rows have Intercom's own id. */
  readonly ids: Lookup | null;
  readonly #bodyOf: (row: Delivery) => string;

  constructor(path: string, ids: Lookup | null, bodyOf: (row: Delivery) => string) {
    this.#path = path;
    this.ids = ids;
    this.#bodyOf = bodyOf;
  }

  /** null: it is not there. An id that was remembered may be of a record that is gone: then it is asked for. */
  async existing(
    row: Delivery,
    session: Session,
    act: (id: string) => Promise<Outcome | null>,
  ): Promise<Outcome | null> {
    const key = matchText(row);
    if (this.ids === null) return act(key);
    for (let look = 0; look < 2; look += 1) {
      const id = (await this.ids.ids([key], session)).get(key);
      if (id === undefined) return null;
      const outcome = await act(id);
      if (outcome !== null) return outcome;
      this.ids.forget(key);
    }
    return null;
  }

  /** null: it is not there. */
  async put(row: Delivery, id: string, session: Session): Promise<Outcome | null> {
    const answer = await session.request({
      method: "PUT",
      path: this.pathOf(id),
      body: this.#bodyOf(row),
      accept: [404],
    });
    return answer.status === 404 ? null : this.written(row, answer);
  }

  /** An answer with the record that was written. */
  written(row: Delivery, answer: Answer): Outcome {
    const id = memberText(answer.object(), "id");
    if (id === undefined) return UNSAID;
    this.ids?.set(matchText(row), id);
    return DELIVERED;
  }

  /** null: it is not there. `done`: the member of the answer that says so. */
  async remove(id: string, session: Session, done: "deleted" | "archived" = "deleted"): Promise<Outcome | null> {
    const path = this.pathOf(id);
    const answer = await session.request(
      done === "deleted"
        ? { method: "DELETE", path, accept: [404] }
        : { method: "POST", path: `${path}/archive`, body: "{}", accept: [404] },
    );
    if (answer.status === 404) return null;
    return member(answer.object(), done) === true ? DELIVERED : UNSAID;
  }

  pathOf(id: string): string {
    return `${this.#path}/${encodeURIComponent(id)}`;
  }
}

/** A row at a time: as many are on their way as Intercom takes. */
export function eachRow(act: (row: Delivery, session: Session) => Promise<Outcome>): Operation {
  return { rows: 1, send: async ([row], session) => [await act(row!, session)] };
}
