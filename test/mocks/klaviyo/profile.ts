// Profiles as Klaviyo keeps them: found by any identifier, null empties, custom properties are unset by name.
import { plainText } from "../support/exact-json.ts";

export type Attributes = Readonly<Record<string, unknown>>;

export interface Resource {
  readonly type: string;
  readonly id?: string;
  readonly attributes: Attributes;
  readonly relationships?: unknown;
  readonly meta?: { readonly patch_properties?: { readonly unset?: readonly string[] } };
}

export interface Profile {
  readonly id: string;
  readonly attributes: Record<string, unknown>;
  readonly location: Record<string, unknown>;
  readonly properties: Record<string, unknown>;
}

export interface Refusal {
  readonly detail: string;
  readonly pointer: string;
}

const IDENTIFIERS = ["email", "phone_number", "external_id"];
const KNOWN = [...IDENTIFIERS, "first_name", "last_name", "organization", "locale", "title", "image"];
const OTHER = ["_kx", "location", "properties", "subscriptions", "age_gated_date_of_birth"];
const MOST_BYTES = 100_000;

/** What is told when a request is made. */
export function refusedAtOnce({ id, attributes }: Resource, pointer: string): Refusal | null {
  const unknown = Object.keys(attributes).find((name) => !KNOWN.includes(name) && !OTHER.includes(name));
  if (unknown !== undefined)
    return {
      detail: `'${unknown}' is not a valid field for the resource 'profile'.`,
      pointer: `${pointer}/${unknown}`,
    };
  const email = plainText(attributes["email"]);
  if (email !== null && !/^[^\s@]+@[^\s@]+\.[^\s@]+$/.test(email))
    return { detail: `Invalid email address: ${email}`, pointer: `${pointer}/email` };
  if (id === undefined && IDENTIFIERS.every((name) => plainText(attributes[name]) === null))
    return { detail: "One of the identifiers is required.", pointer };
  return null;
}

/** What is told only when a job is done. */
export function refusedLater(resource: Resource, pointer: string): Refusal | null {
  const phone = plainText(resource.attributes["phone_number"]);
  if (phone !== null && !/^\+\d{7,15}$/.test(phone))
    return { detail: `Invalid phone number: ${phone}`, pointer: `${pointer}/phone_number` };
  if (Buffer.byteLength(JSON.stringify(resource)) > MOST_BYTES)
    return { detail: "The profile is larger than 100 KB.", pointer };
  return null;
}

/** The profile that it was written to; null: it has an id that there is not. */
export function write(profiles: Map<string, Profile>, resource: Resource, newId: () => string): Profile | null {
  const { id, attributes, meta } = resource;
  let profile = id === undefined ? found(profiles, attributes) : profiles.get(id);
  if (profile === undefined) {
    if (id !== undefined) return null;
    profile = { id: newId(), attributes: {}, location: {}, properties: {} };
    profiles.set(profile.id, profile);
  }
  const { location, properties, ...own } = attributes;
  for (const [name, value] of Object.entries(own)) set(profile.attributes, name, value);
  for (const [name, value] of Object.entries((location ?? {}) as Attributes)) set(profile.location, name, value);
  Object.assign(profile.properties, properties);
  for (const name of meta?.patch_properties?.unset ?? []) delete profile.properties[name];
  return profile;
}

function found(profiles: ReadonlyMap<string, Profile>, attributes: Attributes): Profile | undefined {
  for (const name of IDENTIFIERS) {
    const key = plainText(attributes[name])?.toLowerCase();
    if (key === undefined) continue;
    for (const profile of profiles.values())
      if (plainText(profile.attributes[name])?.toLowerCase() === key) return profile;
  }
  return undefined;
}

function set(into: Record<string, unknown>, name: string, value: unknown): void {
  if (value === null) delete into[name];
  else into[name] = value;
}

/** By the names that the destination gives them. */
export function textsOf({ id, attributes, location, properties }: Profile): Record<string, string | null> {
  const all = {
    id,
    ...attributes,
    ...Object.fromEntries(Object.entries(location).map(([name, value]) => [`location.${name}`, value])),
    ...properties,
  };
  return Object.fromEntries(Object.entries(all).map(([name, value]) => [name, plainText(value)]));
}
