// SQL for sessions of ours: `sql_mode` is empty there, so a backslash escapes.

export function identifier(name: string): string {
  return `\`${name.replaceAll("`", "``")}\``;
}

export function tableName(database: string, table: string): string {
  return `${identifier(database)}.${identifier(table)}`;
}

export function literal(text: string): string {
  return `'${text.replaceAll("\\", "\\\\").replaceAll("'", "''").replaceAll("\0", "\\0")}'`;
}
