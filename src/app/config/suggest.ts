/** `a`, `b` and `c`; "none" for an empty list. */
export function quotedList(words: readonly string[], joint: "and" | "or" = "and"): string {
  const quoted = words.map((word) => `\`${word}\``);
  const last = quoted.pop();
  if (last === undefined) return "none";
  return quoted.length === 0 ? last : `${quoted.join(", ")} ${joint} ${last}`;
}
