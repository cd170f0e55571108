import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { resolve } from "node:path";
import { promisify } from "node:util";
import * as z from "zod";
import { TailraceError } from "../contracts/errors.ts";

/** Where a secret is kept that changes while we run. */
export const secretReference = z.union([
  z.strictObject({
    file: z
      .string()
      .min(1)
      .describe("A file that holds the secret and nothing else; a line break at its end is none of it."),
  }),
  z.strictObject({
    command: z
      .array(z.string().min(1))
      .min(1)
      .describe("A program and its arguments, run without a shell; the secret is what it prints."),
  }),
]);

export type SecretReference = z.output<typeof secretReference>;

const TIMEOUT_MS = 10_000;
const MOST_BYTES = 65_536;
const run = promisify(execFile);

/**
 * The secret as it is now. Relative file names, and the command, start in `baseDirectory`. An error says what could not be had, and
 * nothing of what was read or printed.
 */
export async function readSecret(reference: SecretReference, name: string, baseDirectory: string): Promise<string> {
  const text = "file" in reference ? await fromFile(reference.file) : await fromCommand(reference.command);
  const secret = text.replace(/\r?\n$/, "");
  if (secret === "") throw unavailable("it is empty");
  return secret;

  async function fromFile(file: string): Promise<string> {
    try {
      return await readFile(resolve(baseDirectory, file), "utf8");
    } catch (error) {
      throw unavailable(`the file ${file} cannot be read (${codeOf(error)})`);
    }
  }

  async function fromCommand([program = "", ...args]: readonly string[]): Promise<string> {
    try {
      const options = { cwd: baseDirectory, timeout: TIMEOUT_MS, maxBuffer: MOST_BYTES };
      return (await run(program, args, options)).stdout;
    } catch (error) {
      // Its own message repeats the arguments and what was printed.
      throw unavailable(`the command ${program} failed (${codeOf(error)})`);
    }
  }

  function unavailable(why: string): TailraceError {
    return new TailraceError("secret.unavailable", `\`${name}\`: ${why}`);
  }
}

function codeOf(error: unknown): string {
  const { code, signal } = (error ?? {}) as { code?: string | number | null; signal?: string | null };
  return String(code ?? signal ?? "error");
}
