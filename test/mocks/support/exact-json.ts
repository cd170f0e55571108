/** A number of a JSON text, with every digit that was sent. */
export class JsonNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** `JSON.parse`, but numbers are {@link JsonNumber}s: what a mock holds is compared digit by digit. */
export function parseExact(json: string): unknown {
  const reviver = (_name: string, value: unknown, context?: { readonly source?: string }): unknown =>
    typeof value === "number" ? new JsonNumber(context?.source ?? String(value)) : value;
  return JSON.parse(json, reviver);
}

/** A value as a source's text: `12.50`, `true`, the text itself; lists and objects as JSON. */
export function plainText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === "string") return value;
  if (value instanceof JsonNumber) return value.text;
  if (typeof value === "boolean") return String(value);
  return JSON.stringify(value, (_name, inner: unknown) => (inner instanceof JsonNumber ? Number(inner.text) : inner));
}
