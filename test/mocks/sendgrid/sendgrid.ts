// SendGrid's mail/send, from its public description: 202 for a request as a whole, or 400 with what is wrong, by field.
// https://www.twilio.com/docs/sendgrid/api-reference/mail-send/mail-send, …/mail-send/errors
import { parseExact, plainText } from "../support/exact-json.ts";
import { type MockAnswer, type MockRequest, MockVendor } from "../support/mock.ts";

type Json = Readonly<Record<string, unknown>>;

export interface Mail {
  readonly to: string;
  readonly name: string | null;
  readonly from: string;
  readonly template: string | null;
  readonly subject: string | null;
  readonly content: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string | null>>;
  readonly args: Readonly<Record<string, string>>;
  readonly categories: readonly string[];
}

interface Problem {
  readonly message: string;
  readonly field: string | null;
}

const MOST_PERSONALIZATIONS = 1000;
const MOST_BYTES = 20_971_520;
const ADDRESS = /^[^@\s<>"]+@[^@\s<>"]+\.[^@\s<>".]+$/;

export class SendGridMock implements AsyncDisposable {
  server!: MockVendor;
  apiKey: string;
  readonly mails: Mail[] = [];
  /** Whose mails it takes. */
  readonly senders = new Set(["hello@example.com"]);

  private constructor(apiKey: string) {
    this.apiKey = apiKey;
  }

  static async start(apiKey: string): Promise<SendGridMock> {
    const mock = new SendGridMock(apiKey);
    mock.server = await MockVendor.start({ answer: (request) => mock.#answer(request) });
    return mock;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.server[Symbol.asyncDispose]();
  }

  #answer({ method, path, headers, body }: MockRequest): MockAnswer {
    if (headers["authorization"] !== `Bearer ${this.apiKey}`)
      return problems(401, [
        { message: "The provided authorization grant is invalid, expired, or revoked", field: null },
      ]);
    const url = path.join("/");
    if (method === "GET" && url === "v3/scopes") return { status: 200, body: { scopes: ["mail.send"] } };
    if (method !== "POST" || url !== "v3/mail/send")
      return { status: 404, body: { errors: [{ message: "not found" }] } };
    if (Buffer.byteLength(body) > MOST_BYTES) return problems(413, [{ message: "payload too large", field: null }]);
    const request = parseExact(body) as Json;
    const personalizations = request["personalizations"] as readonly Json[];
    const wrong = this.#wrong(request, personalizations);
    if (wrong.some(({ field }) => field === "from")) return problems(403, wrong);
    if (wrong.length > 0) return problems(400, wrong);
    if (plainText((request["mail_settings"] as { sandbox_mode?: Json })?.sandbox_mode?.["enable"]) === "true")
      return { status: 200 };
    for (const each of personalizations) this.mails.push(mailOf(request, each));
    return { status: 202 };
  }

  #wrong(request: Json, personalizations: readonly Json[]): Problem[] {
    const found: Problem[] = [];
    const add = (field: string, message: string): void => void found.push({ message, field });
    if (!this.senders.has((request["from"] as { email: string }).email))
      add(
        "from",
        "The from address does not match a verified Sender Identity. Mail cannot be sent until this error is resolved.",
      );
    if (personalizations.length > MOST_PERSONALIZATIONS)
      add("personalizations", "The personalization block is limited to 1000 personalizations per API request.");
    const seen = new Set<string>();
    for (const [at, { to }] of personalizations.entries()) {
      const [{ email } = { email: "" }] = to as readonly { email: string }[];
      if (!ADDRESS.test(email)) add(`personalizations.${at}.to.0.email`, "Does not contain a valid address.");
      if (seen.has(email.toLowerCase()))
        add(
          "personalizations",
          `Each unique email address in the personalizations array should only be included once. You have included ${email} more than once.`,
        );
      seen.add(email.toLowerCase());
    }
    const template = request["template_id"];
    const content = request["content"] as readonly { value: unknown }[] | undefined;
    if (template === undefined) {
      if (typeof request["subject"] !== "string" || request["subject"] === "")
        add("subject", "The subject is required.");
      if (content === undefined || content.length === 0)
        add("content", "Unless a valid template_id is provided, the content parameter is required.");
      for (const [at, { value }] of (content ?? []).entries())
        if (typeof value !== "string" || value === "")
          add(`content.${at}.value`, "The content value must be a string at least one character in length.");
    } else if (typeof template !== "string" || !/^d-[0-9a-f]+$/.test(template))
      add("template_id", `The template_id must be a valid GUID, you provided ${JSON.stringify(template)}.`);
    return found;
  }
}

function mailOf(request: Json, { to, custom_args: args, dynamic_template_data: data = {} }: Json): Mail {
  const [recipient] = to as readonly { email: string; name?: string }[];
  const content = (request["content"] ?? []) as readonly { type: string; value: string }[];
  return {
    to: recipient!.email,
    name: recipient!.name ?? null,
    from: (request["from"] as { email: string }).email,
    template: (request["template_id"] as string | undefined) ?? null,
    subject: (request["subject"] as string | undefined) ?? null,
    content: Object.fromEntries(content.map(({ type, value }) => [type, value])),
    data: Object.fromEntries(Object.entries(data as Json).map(([name, value]) => [name, plainText(value)])),
    args: args as Readonly<Record<string, string>>,
    categories: (request["categories"] ?? []) as readonly string[],
  };
}

function problems(status: number, errors: readonly Problem[]): MockAnswer {
  return { status, body: { errors: errors.map((error) => ({ ...error, help: null })) } };
}

export function tooMany(seconds: number): MockAnswer {
  return {
    status: 429,
    headers: { "x-ratelimit-remaining": "0", "x-ratelimit-reset": String(Math.ceil(Date.now() / 1000) + seconds) },
    body: { errors: [{ field: null, message: "too many requests" }] },
  };
}
