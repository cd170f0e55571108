import type { Document } from "openapi-backend";
import mixpanel from "../../../src/destinations/mixpanel/index.ts";
import { MixpanelMock, tooMany } from "../../mocks/mixpanel/mixpanel.ts";
import { loadDescription } from "../../mocks/support/openapi.ts";
import type { RowTexts, State } from "../../support/oracle.ts";
import { describeVendor } from "../vendor-destination.ts";
import type { VendorCounterpart, VendorDescription, VendorHarness } from "../vendor-harness.ts";

interface Item {
  readonly required: readonly string[];
}
interface Path {
  readonly post: { requestBody: { content: { "application/json": { schema: { items: Item } } } } };
}

/**
 * The description has a path for each kind of update (`/engage#profile-set`), and one for lists of several kinds without their form: here a
 * list may have every kind. Of deleting a group it asks for a `$set`, and of deleting a user for the text "null".
 */
function mend(document: Document): void {
  const paths = document.paths as unknown as Record<string, Path>;
  for (const [path, subject] of [
    ["/engage", "profile"],
    ["/groups", "group"],
  ] as const) {
    const anyOf = (["set", "unset", "delete"] as const).map((kind) => {
      const item = paths[`${path}#${subject}-${kind}`]!.post.requestBody.content["application/json"].schema.items;
      const identity = item.required.filter((name) => !/^\$(set|unset|delete)$/.test(name));
      return { ...item, required: [...identity, `$${kind}`] };
    });
    const { post } = structuredClone(paths[`${path}#${subject}-set`]!);
    post.requestBody.content["application/json"].schema.items = { anyOf } as unknown as Item;
    paths[path] = { post };
  }
  for (const name of Object.keys(paths)) if (name.includes("#")) delete paths[name];
}

function described(url: string, body: string): VendorDescription {
  const headers = { "content-type": "application/json", authorization: "Basic x" };
  return {
    file: "mixpanel-ingestion.yaml",
    load: () => loadDescription("mixpanel-ingestion.yaml", { mend }),
    wrong: { method: "POST", url, headers, body },
  };
}

async function start(secret: string, state: (mock: MixpanelMock) => State): Promise<VendorCounterpart> {
  const mock = await MixpanelMock.start(secret);
  return {
    mock: mock.server,
    settings: (token) => ({
      project_id: mock.projectId,
      service_account: mock.user,
      secret: token,
      project_token: mock.projectToken,
      base_url: mock.server.url,
      allow_private: true,
      timeout_ms: 5000,
    }),
    get token() {
      return mock.secret;
    },
    rotate() {
      mock.secret = `${mock.secret}-next`;
      return mock.secret;
    },
    state: () => state(mock),
    events: () => [...mock.events.values()].map(({ properties }) => properties.get("marker")!),
    clear: () => mock.clear(),
    [Symbol.asyncDispose]: () => mock[Symbol.asyncDispose](),
  };
}

/** A time of day is ISO 8601. */
function stored(column: string, text: string | null): string | null {
  return column === "last_seen" && text !== null ? text.replace(" ", "T").replace("+00", "Z") : text;
}

function texts(properties: ReadonlyMap<string, string>): RowTexts {
  return Object.fromEntries(properties);
}

const common: Pick<VendorHarness, "stored" | "throttled" | "writes" | "waived"> = {
  stored,
  throttled: tooMany,
  writes: ({ method }) => method === "POST",
  waived: { "unknown field": "it takes properties of any name" },
};

const harnesses: readonly VendorHarness[] = [
  {
    ...common,
    name: "events",
    object: "events",
    columns: { distinct_id: "text", event: "text", marker: "text", amount: "numeric", doc: "jsonb", note: "text" },
    values: { event: (random) => random.pick(["Signed up", "Left", "注文"]), doc: () => '{"a":[1,2]}' },
    marker: "marker",
    poison: { distinct_id: "anonymous" },
    description: described(
      "/import?strict=1&project_id=1",
      '[{"event":"a","properties":{"time":"now","distinct_id":"1","$insert_id":"1"}}]',
    ),
    start: (secret) =>
      start(
        secret,
        (mock) =>
          new Map(
            [...mock.events.values()].map(({ event, properties }) => [
              properties.get("distinct_id")!,
              { event, ...texts(properties) },
            ]),
          ),
      ),
  },
  {
    ...common,
    name: "user profiles",
    object: "users",
    columns: {
      distinct_id: "text",
      $name: "text",
      ltv: "numeric",
      opted_in: "boolean",
      born: "date",
      last_seen: "timestamp with time zone",
    },
    poison: { distinct_id: "" },
    description: described("/engage?strict=1", '[{"$token":"t","$distinct_id":7,"$set":{}}]'),
    start: (secret) =>
      start(secret, (mock) => new Map([...mock.users].map(([id, user]) => [id, { distinct_id: id, ...texts(user) }]))),
  },
];

describeVendor(mixpanel, harnesses);
