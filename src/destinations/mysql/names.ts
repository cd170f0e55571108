/** A name as SQL, always quoted. */
export function quoteName(name: string): string {
  if (name.includes("\0")) throw new TypeError("a name holds a NUL character");
  return `\`${name.replaceAll("`", "``")}\``;
}

/** A text as a SQL literal, for statements that take no parameters. */
export function quoteText(text: string): string {
  return `'${text.replaceAll(/['\\]/g, "\\$&")}'`;
}
