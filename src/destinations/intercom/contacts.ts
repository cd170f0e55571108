import { DELIVERED, type Delivery, type Outcome, type Target } from "../../contracts/destination.ts";
import { TailraceError } from "../../contracts/errors.ts";
import { jsonString } from "../../contracts/json-string.ts";
import type { Operations, Place, VendorFields } from "../../kit/vendor/definition.ts";
import { memberList, memberText } from "../../kit/vendor/json.ts";
import { Lookup } from "../../kit/vendor/lookup.ts";
import { matchText } from "../../kit/vendor/outcomes.ts";
import type { Answer, Session } from "../../kit/vendor/session.ts";
import { CONTACT, attributeText, customFields } from "./attributes.ts";
import { companyIds } from "./companies.ts";
import { errors } from "./errors.ts";
import { Records, eachRow } from "./records.ts";
import type { IntercomOptions, IntercomSettings } from "./settings.ts";

type ContactPlace = Place<IntercomSettings, IntercomOptions>;
type ContactBy = "external_id" | "email" | "id";

export function contacts({ target, options }: ContactPlace): Operations {
  const by = contactBy(target);
  const left = [by as string, ...(options.company === undefined ? [] : [options.company])];
  const attributes = attributeText(CONTACT, left);
  const records = new Records("/contacts", contactIds(by), (row) => `{${attributes(row.record)}}`);
  const attach = options.company === undefined ? null : attachment(options.company, records);

  /** Of a contact that is not remembered: it may be archived. */
  const comesBack = async (row: Delivery, id: string, session: Session): Promise<void> => {
    if (options.removed !== "archive") return;
    try {
      await session.request({ method: "POST", path: `${records.pathOf(id)}/unarchive`, body: "{}", accept: [404] });
    } catch (error) {
      records.ids?.forget(matchText(row));
      throw error;
    }
  };

  const create = async (row: Delivery, session: Session): Promise<Outcome> => {
    const key = matchText(row);
    const members = attributes(row.record);
    const role = row.record.shape.fields.some(({ name }) => name === "role") ? "" : `"role":"user",`;
    const body = `{${role}"${by}":${jsonString(key)}${members === "" ? "" : `,${members}`}}`;
    const answer = await session.request({ method: "POST", path: "/contacts", body, accept: [409] });
    if (answer.status !== 409) return records.written(row, answer);
    const id = conflicting(answer);
    if (id !== null && (await isOurs(id, key, session))) {
      await comesBack(row, id, session);
      const outcome = await records.put(row, id, session);
      if (outcome !== null) return outcome;
    }
    const said = memberList(answer.body(), "errors").map((error) => memberText(error, "message"));
    return session.outcome(row, errors.codes!(answer.body()), said.join(" "));
  };

  /** What clashes may be another contact, with the same address. */
  const isOurs = async (id: string, key: string, session: Session): Promise<boolean> => {
    const answer = await session.request({ method: "GET", path: records.pathOf(id), accept: [404] });
    const theirs = answer.status === 404 ? undefined : memberText(answer.object(), by);
    return by === "email" ? theirs?.toLowerCase() === key.toLowerCase() : theirs === key;
  };

  const upsert = eachRow(async (row, session) => {
    const known = records.ids?.has(matchText(row)) ?? false;
    const written = await records.existing(row, session, async (id) => {
      if (!known) await comesBack(row, id, session);
      return records.put(row, id, session);
    });
    const outcome = written ?? (by === "id" ? DELIVERED : await create(row, session));
    return attach === null || outcome.status !== "delivered" ? outcome : attach(row, session);
  });
  const update = eachRow(
    async (row, session) => (await records.existing(row, session, (id) => records.put(row, id, session))) ?? DELIVERED,
  );
  const remove = eachRow(async (row, session) => {
    const done = options.removed === "archive" ? "archived" : "deleted";
    const outcome = await records.existing(row, session, (id) => records.remove(id, session, done));
    records.ids?.forget(matchText(row));
    return outcome ?? DELIVERED;
  });
  return { upsert, update, archive: update, clear: update, delete: remove };
}

/** @throws TailraceError `destination.config` */
function contactBy({ match, mode, onDelete }: Target): ContactBy {
  const [by] = match;
  const refuse = (message: string): never => {
    throw new TailraceError("destination.config", message);
  };
  if (by !== "external_id" && by !== "email" && by !== "id")
    return refuse("Intercom finds contacts by `external_id`, `email` or `id`: set `match` to one of them");
  // By an address, Intercom only has its search, which may not know a contact for minutes.
  if (by === "email" && (mode === "update" || (mode === "mirror" && onDelete.kind !== "ignore")))
    return refuse(
      "By `email`, contacts can only be made and written: with `on_delete` or mode `update`, `match` has to be `external_id` or `id`",
    );
  return by;
}

/** By an address, only those that are remembered. */
function contactIds(by: ContactBy): Lookup | null {
  if (by === "id") return null;
  return new Lookup({
    rows: 1,
    async find([key], session) {
      if (by === "email") return new Map();
      const path = `/contacts/find_by_external_id/${encodeURIComponent(key!)}`;
      const answer = await session.request({ method: "GET", path, accept: [404] });
      const id = answer.status === 404 ? undefined : memberText(answer.object(), "id");
      return new Map(id === undefined ? [] : [[key!, id]]);
    },
  });
}

/** `A contact matching those details already exists with id=5da6f18e3d7cf967e4582d05` */
function conflicting(answer: Answer): string | null {
  for (const error of memberList(answer.body(), "errors")) {
    const id = /\bid=([0-9a-f]+)/.exec(memberText(error, "message") ?? "")?.[1];
    if (id !== undefined) return id;
  }
  return null;
}

/** Attaches a contact that was just written to its company. */
function attachment(field: string, contact: Records) {
  const ids = companyIds();
  return async (row: Delivery, session: Session): Promise<Outcome> => {
    const { record } = row;
    const company = record.values[record.shape.fields.findIndex(({ name }) => name === field)];
    if (typeof company !== "string" || company === "") return DELIVERED;
    const again: Outcome = {
      status: "retry",
      error: new TailraceError(
        "destination.unavailable",
        "The company that it is to be attached to is not there (yet)",
      ),
    };
    const id = (await ids.ids([company], session)).get(company);
    if (id === undefined) return again;
    const attached = await contact.existing(row, session, async (contactId) => {
      const path = `${contact.pathOf(contactId)}/companies`;
      const answer = await session.request({ method: "POST", path, body: `{"id":${jsonString(id)}}`, accept: [404] });
      return answer.status !== 404 && memberText(answer.object(), "id") === id ? DELIVERED : null;
    });
    if (attached === null) ids.forget(company);
    return attached ?? again;
  };
}

export async function contactFields({ target, options }: ContactPlace, session: Session): Promise<VendorFields> {
  const by = contactBy(target);
  const id = { name: "id", type: "string", unique: true, readOnly: by !== "id" } as const;
  const company = options.company === undefined ? [] : [{ name: options.company, type: "any" } as const];
  const custom = await customFields("contact", session);
  const own = [...CONTACT, id, ...company];
  return { fields: [...own, ...custom.filter(({ name }) => !own.some((one) => one.name === name))], open: false };
}
