import { type ErrorCode, TailraceError } from "../contracts/errors.ts";

/**
 * A client library that is loaded only where it is configured. `load`: its `import()`. Throws `code`, with the command that mends it, where it is
 * not installed.
 */
export async function loadOptional<T>(
  library: { readonly title: string; readonly package: string; readonly version: string },
  code: ErrorCode,
  load: () => Promise<T>,
): Promise<T> {
  try {
    return await load();
  } catch (error) {
    const why = (error as NodeJS.ErrnoException).code ?? "error";
    throw new TailraceError(
      code,
      `${library.title} is not there, or does not run here (${why}): npm install ${library.package}@${library.version}`,
    );
  }
}
