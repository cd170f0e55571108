// SQL that cannot carry values or names as parameters (DDL, replication commands, names of tables).

/** A name as SQL, always quoted. A NUL cannot be in a PostgreSQL name and is refused. */
export function quoteIdentifier(name: string): string {
  if (name.includes("\0")) throw new TypeError("a name holds a NUL character");
  return `"${name.replaceAll('"', '""')}"`;
}

/** `namespace.name`, each quoted; a null namespace is left out. */
export function quoteName(namespace: string | null, name: string): string {
  return namespace === null ? quoteIdentifier(name) : `${quoteIdentifier(namespace)}.${quoteIdentifier(name)}`;
}

/**
 * A text as a SQL literal, for commands that take no parameters. Right whatever `standard_conforming_strings` says: a
 * text with a backslash is written as an escape string.
 */
export function quoteLiteral(text: string): string {
  if (text.includes("\0")) throw new TypeError("a text holds a NUL character");
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes("\\") ? ` E${quoted.replaceAll("\\", "\\\\")}` : quoted;
}
