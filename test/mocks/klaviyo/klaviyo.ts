// Klaviyo, from its public description: profiles, import jobs with their errors, lists, subscriptions, events, deletions.
// https://developers.klaviyo.com/en/reference/api_overview, …/bulk_import_profiles, …/bulk_create_events, …/rate_limits_and_error_handling
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";
import { notFound, problem, problems } from "./answers.ts";
import { type Attributes, type Profile, type Resource, refusedAtOnce, refusedLater, write } from "./profile.ts";

const JSON_API = "application/vnd.api+json";
const NOW = "2026-01-01T00:00:00+00:00";
const MOST_BYTES = 5_000_000;
const PAGE = 20;

export interface KlaviyoEvent {
  readonly profile: Attributes;
  readonly attributes: Attributes;
}

interface Job {
  readonly id: string;
  readonly profiles: readonly Resource[];
  readonly lists: readonly string[];
  readonly errors: unknown[];
  /** How often it is still seen at work. */
  looks: number;
  status: "queued" | "complete";
}

export class KlaviyoMock implements AsyncDisposable {
  server!: MockVendor;
  key: string;
  readonly profiles = new Map<string, Profile>();
  readonly events: KlaviyoEvent[] = [];
  /** Profiles as they were subscribed, by list. */
  readonly subscriptions = new Map<string, Resource[]>();
  readonly #lists: ReadonlyMap<string, Set<string>>;
  readonly #jobs = new Map<string, Job>();
  #nextId = 1;

  private constructor(key: string, lists: readonly string[]) {
    this.key = key;
    this.#lists = new Map(lists.map((list) => [list, new Set<string>()]));
  }

  static async start(key: string, lists: readonly string[] = []): Promise<KlaviyoMock> {
    const mock = new KlaviyoMock(key, lists);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  members(list: string): readonly Profile[] {
    return [...this.#lists.get(list)!].map((id) => this.profiles.get(id)).filter((profile) => profile !== undefined);
  }

  /** Everything but the jobs: these were taken. */
  clear(): void {
    this.profiles.clear();
    this.events.length = 0;
    this.subscriptions.clear();
    for (const members of this.#lists.values()) members.clear();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer(request: MockRequest): MockAnswer {
    const { headers, method, body, path } = request;
    if (headers["authorization"] !== `Klaviyo-API-Key ${this.key}`)
      return problem(401, "authentication_failed", "Incorrect authentication credentials.");
    if (!/^\d{4}-\d\d-\d\d/.test(headers["revision"] ?? "")) return problem(400, "invalid", "A revision is required.");
    if (body !== "" && headers["content-type"] !== JSON_API)
      return problem(415, "unsupported_media_type", "Unsupported media type.");
    if (Buffer.byteLength(body) > MOST_BYTES) return problem(413, "payload_too_large", "Request is too large.");
    const data = body === "" ? undefined : (parseExact(body) as { readonly data: Resource }).data;
    const [, area, id, part, kind] = path;
    switch (`${method} ${area}${part === undefined ? "" : ` ${part}`}`) {
      case "GET accounts":
        return problem(403, "permission_denied", "You do not have permission to perform this action.");
      case "GET profiles":
        return this.#find(request.query);
      case "POST profile-import":
        return this.#import(data!);
      case "POST profile-bulk-import-jobs":
        return this.#submit(data!);
      case "GET profile-bulk-import-jobs":
        return this.#look(id!);
      case "GET profile-bulk-import-jobs import-errors":
        return this.#errors(id!, request);
      case "POST lists relationships":
      case "DELETE lists relationships":
        return kind === "profiles" ? this.#membership(id!, method, data as unknown as readonly Resource[]) : notFound();
      case "POST profile-subscription-bulk-create-jobs":
        return this.#subscribe(data!);
      case "POST event-bulk-create-jobs":
        return this.#record(data!);
      case "POST data-privacy-deletion-jobs":
        return this.#forget(data!);
      default:
        return notFound();
    }
  }

  /** `any(email,["a","b"])` */
  #find(query: URLSearchParams): MockAnswer {
    const [, field, list] = /^any\((\w+),(\[.*\])\)$/.exec(query.get("filter") ?? "") ?? [];
    if (field === undefined) return problem(400, "invalid", "Invalid filter provided.");
    const wanted = new Set((JSON.parse(list!) as string[]).map((key) => folded(field, key)));
    const found = [...this.profiles.values()].filter(({ id, attributes }) => {
      const own = field === "id" ? id : plainText(attributes[field]);
      return own !== null && wanted.has(folded(field, own));
    });
    return { status: 200, body: { data: found.slice(0, Number(query.get("page[size]") ?? PAGE)).map(shown) } };
  }

  #import(resource: Resource): MockAnswer {
    const refused = refusedAtOnce(resource, "/data/attributes") ?? refusedLater(resource, "/data/attributes");
    if (refused !== null) return problem(400, "invalid", refused.detail, refused.pointer);
    const before = this.profiles.size;
    const profile = this.#write(resource);
    if (profile === null) return problem(404, "not_found", "A profile with that id does not exist.");
    return { status: this.profiles.size > before ? 201 : 200, body: { data: shown(profile) } };
  }

  #write(resource: Resource): Profile | null {
    return write(this.profiles, resource, () => {
      this.#nextId += 1;
      return `01GDDKASAP8TKDDA2GRZ${String(this.#nextId).padStart(6, "0")}`;
    });
  }

  #submit(data: Resource): MockAnswer {
    const profiles = (data.attributes["profiles"] as { data: readonly Resource[] }).data;
    if (profiles.length > 10_000) return problem(400, "invalid", "Too many profiles.", "/data/attributes/profiles");
    const refused = profiles
      .map((profile, at) => refusedAtOnce(profile, `/data/attributes/profiles/data/${at}/attributes`))
      .filter((each) => each !== null);
    if (refused.length > 0) return problems(refused);
    const relationships = data.relationships as { lists?: { data: readonly { id: string }[] } } | undefined;
    const lists = (relationships?.lists?.data ?? []).map((list) => list.id);
    if (lists.some((list) => !this.#lists.has(list))) return problem(404, "not_found", "A list does not exist.");
    const id = `job-${this.#jobs.size + 1}`;
    // Every sixth is seen at work.
    this.#jobs.set(id, { id, profiles, lists, errors: [], looks: this.#jobs.size % 6 === 0 ? 1 : 0, status: "queued" });
    return { status: 202, body: { data: this.#shownJob(this.#jobs.get(id)!) } };
  }

  #look(id: string): MockAnswer {
    const job = this.#jobs.get(id);
    if (job === undefined) return notFound();
    job.looks -= 1;
    // In the order in which they came.
    if (job.looks < 0) {
      for (const each of this.#jobs.values()) {
        if (each.status === "queued") this.#do(each);
        if (each === job) break;
      }
    }
    return { status: 200, body: { data: this.#shownJob(job) } };
  }

  #do(job: Job): void {
    job.status = "complete";
    for (const resource of job.profiles) {
      const refused = refusedLater(resource, "/data/attributes");
      const profile = refused === null ? this.#write(resource) : null;
      if (profile === null) {
        const { detail, pointer } = refused ?? {
          detail: "A profile with that id does not exist.",
          pointer: "/data/id",
        };
        const attributes = { code: "invalid", title: "Invalid input.", detail, source: { pointer } };
        job.errors.push({
          type: "import-error",
          id: `${job.id}-${job.errors.length}`,
          attributes: { ...attributes, original_payload: resource },
        });
      } else for (const list of job.lists) this.#lists.get(list)!.add(profile.id);
    }
  }

  #shownJob({ id, profiles, errors, status }: Job): unknown {
    const completed = status === "complete" ? profiles.length - errors.length : 0;
    const counts = { total_count: profiles.length, completed_count: completed, failed_count: errors.length };
    return {
      type: "profile-bulk-import-job",
      id,
      attributes: { status, created_at: NOW, ...counts, completed_at: null, expires_at: null, started_at: NOW },
      links: { self: `${this.server.url}/api/profile-bulk-import-jobs/${id}` },
    };
  }

  #errors(id: string, { query }: MockRequest): MockAnswer {
    const job = this.#jobs.get(id);
    if (job === undefined) return notFound();
    const from = Number(query.get("page[cursor]") ?? 0);
    const to = from + Number(query.get("page[size]") ?? PAGE);
    const self = `${this.server.url}/api/profile-bulk-import-jobs/${id}/import-errors`;
    const next = to < job.errors.length ? { next: `${self}?page%5Bcursor%5D=${to}` } : {};
    return { status: 200, body: { data: job.errors.slice(from, to), links: { self, ...next } } };
  }

  #membership(list: string, method: string, profiles: readonly Resource[]): MockAnswer {
    const members = this.#lists.get(list);
    if (members === undefined) return problem(404, "not_found", "A list does not exist.");
    if (profiles.length > 1000) return problem(400, "invalid", "Too many profiles.", "/data");
    for (const { id } of profiles) {
      if (method === "DELETE") members.delete(id!);
      else members.add(id!);
    }
    return { status: 204 };
  }

  #subscribe(data: Resource): MockAnswer {
    const { list } = data.relationships as { list: { data: { id: string } } };
    const profiles = (data.attributes["profiles"] as { data: readonly Resource[] }).data;
    const historical = data.attributes["historical_import"] === true;
    const refused = profiles.flatMap((profile, at) => {
      const pointer = `/data/attributes/profiles/data/${at}/attributes`;
      const own = refusedAtOnce(profile, pointer) ?? refusedLater(profile, pointer);
      const dated = JSON.stringify(profile).includes("consented_at");
      const detail = historical ? "consented_at is required." : "consented_at needs historical_import.";
      return own === null && dated !== historical ? [{ detail, pointer }] : own === null ? [] : [own];
    });
    if (refused.length > 0) return problems(refused);
    this.subscriptions.set(list.data.id, [...(this.subscriptions.get(list.data.id) ?? []), ...profiles]);
    return { status: 202 };
  }

  #record(data: Resource): MockAnswer {
    const given = (data.attributes["events-bulk-create"] as { data: readonly Resource[] }).data;
    if (given.length > 1000) return problem(400, "invalid", "Too many events.", "/data/attributes/events-bulk-create");
    const events = given.map(({ attributes }): KlaviyoEvent => {
      const profile = attributes["profile"] as { data: Resource };
      const inner = attributes["events"] as { data: readonly [Resource] };
      const { metric, ...rest } = inner.data[0].attributes;
      const { name } = (metric as { data: Resource }).data.attributes;
      return {
        profile: { id: profile.data.id ?? null, ...profile.data.attributes },
        attributes: { ...rest, metric: name },
      };
    });
    const problemsOf = events.flatMap(({ profile, attributes }, at) => {
      const pointer = `/data/attributes/events-bulk-create/data/${at}/attributes`;
      if (plainText(profile["id"] ?? profile["email"] ?? profile["phone_number"] ?? profile["external_id"]) === null)
        return [{ code: "invalid", detail: "One of the identifiers is required.", pointer: `${pointer}/profile` }];
      const name = attributes["metric"];
      if (typeof name !== "string" || name.trim() === "" || name.length >= 128)
        return [
          { code: "invalid", detail: `${plainText(name)} is not a valid name.`, pointer: `${pointer}/metric/name` },
        ];
      const twice = [...this.events, ...events.slice(0, at)].some(
        (event) =>
          event.attributes["unique_id"] === attributes["unique_id"] &&
          event.attributes["metric"] === name &&
          event.profile["email"] === profile["email"],
      );
      const unique = `${pointer}/events/data/0/attributes/unique_id`;
      return twice ? [{ code: "duplicate_event", detail: "It exists already.", pointer: unique }] : [];
    });
    // Then none is recorded.
    if (problemsOf.length > 0) return problems(problemsOf);
    this.events.push(...events);
    return { status: 202 };
  }

  #forget(data: Resource): MockAnswer {
    const { id, attributes } = (data.attributes["profile"] as { data: Resource }).data;
    const given = Object.entries({ id, ...attributes });
    const [[field, key] = ["", ""]] = given.filter(([, value]) => value !== undefined);
    for (const profile of this.profiles.values()) {
      const own = field === "id" ? profile.id : plainText(profile.attributes[field]);
      if (own !== null && folded(field, own) === folded(field, String(key))) this.profiles.delete(profile.id);
    }
    return { status: 202 };
  }
}

function shown({ id, attributes }: Profile): unknown {
  const { email, phone_number, external_id } = attributes;
  return {
    type: "profile",
    id,
    attributes: {
      email: plainText(email),
      phone_number: plainText(phone_number),
      external_id: plainText(external_id),
      created: NOW,
      updated: NOW,
    },
    links: { self: `https://a.klaviyo.com/api/profiles/${id}/` },
  };
}

function folded(field: string, key: string): string {
  return field === "email" ? key.toLowerCase() : key;
}
