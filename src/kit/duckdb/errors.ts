// What DuckDB's errors are about. Its texts quote values and lines of files, so only the parts named here ever leave this place.

/** As DuckDB names it: `Catalog`, `Binder`, `IO`, `Constraint` … null: not an error of DuckDB's. */
export function kindOf(error: unknown): string | null {
  const { message = "" } = (error ?? {}) as { message?: string };
  return /^([A-Z][A-Za-z ]*?)(?: Error| exception)?: /.exec(message)?.[1] ?? null;
}

/** Another process has the file open, and would not have it read or written; its id where it is told. */
export function lockConflict(error: unknown): { readonly pid: string | null } | null {
  const { message = "" } = (error ?? {}) as { message?: string };
  if (!/Could not set lock on file|Conflicting lock is held/.test(message)) return null;
  return { pid: /\(PID (\d+)\)/.exec(message)?.[1] ?? null };
}

/** What a message about names says, where it cannot hold a value: an unknown table, column, function or type. */
export function namesIn(error: unknown): string | null {
  const { message = "" } = (error ?? {}) as { message?: string };
  const [first = ""] = message.split("\n");
  const known =
    /^(?:Catalog|Binder) Error: ((?:Table|View|Scalar Function|Table Function|Aggregate Function|Type|Schema|Macro) with name [^\n]{1,120}? does not exist!?|Referenced (?:column|table) "[^"\n]{1,120}" not found[^"\n]{0,60})/.exec(
      first,
    );
  return known?.[1] ?? null;
}
