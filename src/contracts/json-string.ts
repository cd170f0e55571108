/** Control characters, `"` and `\`: written as what is not any other code unit. */
const NEEDS_ESCAPE = /[^ !#-[\]-\uffff]/;

/** A text as a JSON string. Most texts need no escaping, and testing is cheaper than JSON.stringify. */
export function jsonString(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}
