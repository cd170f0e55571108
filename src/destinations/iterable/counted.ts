import type { Delivery, Outcome } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { member, memberList, memberText } from "../../kit/vendor/json.ts";
import { Outcomes } from "../../kit/vendor/outcomes.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";

export interface Identity {
  readonly email: string | null;
  readonly userId: string | null;
  /** Of an event: its name. */
  readonly event?: string | null;
}

/**
 * A bulk answer: how many were taken and how many not, and lists of e-mail addresses and user ids of those that were not. Every row is
 * either in a list, or one of so many that were taken; when the numbers do not come to that, what is in no list is sent again.
 */
export function readCounted(
  answer: Answer,
  rows: readonly Delivery[],
  identityOf: (row: Delivery) => Identity,
  session: Session,
): readonly Outcome[] {
  const body = answer.object();
  refuseDroppedFields(memberList(body, "filteredOutFields"), rows);
  const outcomes = new Outcomes(rows);
  const failed = new Set<number>();
  const find = placesOf(rows.map(identityOf));
  for (const { list, values } of failures(body)) {
    for (const value of values) {
      const places = find(list, value);
      for (const place of places ?? [undefined]) {
        outcomes.set(place, session.outcome(rows[place ?? 0]!, [list], list, "transient"));
        if (place !== undefined) failed.add(place);
      }
    }
  }
  const taken = Number(memberText(body, "successCount"));
  const refused = Number(memberText(body, "failCount"));
  const explained = refused <= failed.size && taken + failed.size >= rows.length;
  return explained ? outcomes.unlessSaid() : outcomes.whereSaid();
}

/** Each list of what was not taken; the older places of some of them too. */
function* failures(body: unknown): Generator<{ readonly list: string; readonly values: readonly string[] }> {
  const listed = member(body, "failedUpdates");
  const names = typeof listed === "object" && listed !== null ? Object.keys(listed) : [];
  for (const [of, lists] of [
    [listed, names],
    [body, ["invalidEmails", "invalidUserIds", "disallowedEventNames"]],
  ] as const) {
    for (const list of lists) yield { list, values: memberList(of, list).filter((value) => typeof value === "string") };
  }
}

/** The places of the rows that a list means by a value. */
function placesOf(identities: readonly Identity[]): (list: string, value: string) => readonly number[] | undefined {
  const kinds = {
    Emails: indexOf(identities, ({ email }) => (email === null ? null : folded(email))),
    UserIds: indexOf(identities, ({ userId }) => userId),
  };
  const events = indexOf(identities, ({ event }) => event ?? null);
  return (list, value) => {
    if (list === "disallowedEventNames") return events.get(value);
    return list.endsWith("Emails") ? kinds.Emails.get(folded(value)) : kinds.UserIds.get(value);
  };
}

function indexOf(
  identities: readonly Identity[],
  keyOf: (identity: Identity) => string | null,
): ReadonlyMap<string, readonly number[]> {
  const index = new Map<string, number[]>();
  for (const [place, identity] of identities.entries()) {
    const key = keyOf(identity);
    if (key === null) continue;
    const places = index.get(key);
    if (places === undefined) index.set(key, [place]);
    else places.push(place);
  }
  return index;
}

/** Iterable does not tell addresses apart by case, or by spaces around them. */
export function folded(email: string): string {
  return email.trim().toLowerCase();
}

/** The project drops fields that it does not know, and takes the rest: all rows have them. */
function refuseDroppedFields(dropped: readonly unknown[], rows: readonly Delivery[]): void {
  if (dropped.length === 0) return;
  const fields = rows[0]!.record.shape.fields.map(({ name }) => name);
  // What is inside of a field's JSON is the row's.
  const names = fields.filter((name) => dropped.some((one) => typeof one === "string" && isIn(name, one)));
  throw new TailraceError(
    "destination.config",
    `The project dropped ${names.length === 0 ? "fields" : names.map((name) => `\`${name}\``).join(", ")}: add what it does not have in Iterable, or set \`create_fields: true\``,
  );
}

/** `address.city` is in `address`; events have theirs under `dataFields` or their event's name. */
function isIn(name: string, path: string): boolean {
  return path === name || path.startsWith(`${name}.`) || path.endsWith(`.${name}`);
}
