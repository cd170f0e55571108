import { TailraceError } from "../../contracts/errors.ts";

/** One thing that is wrong in the configuration. No part of it holds a secret or the value of a variable. */
export interface Problem {
  /** Relative to the working directory where it lies below it. */
  readonly file: string;
  /** From 1; 0 when the problem is the file itself. */
  readonly line: number;
  readonly column: number;
  /** The path of keys: `syncs.users_to_crm.map.email`; "" when the problem is the file itself. */
  readonly key: string;
  readonly message: string;
  readonly fix?: string | undefined;
  readonly excerpt?: Excerpt | undefined;
}

/** The line of the file, with what may be a secret masked, and what to mark in it. */
export interface Excerpt {
  readonly text: string;
  /** From 1, in the masked text. */
  readonly column: number;
  readonly length: number;
}

/** Everything that is wrong, in the order of the files. */
export class ConfigError extends TailraceError {
  readonly problems: readonly Problem[];

  constructor(problems: readonly Problem[]) {
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    super("config.invalid", `The configuration has ${count}.\n${problems.map(headline).join("\n")}`);
    this.name = "ConfigError";
    this.problems = problems;
  }
}

function headline(problem: Problem): string {
  return `${placeText(problem)}: ${problem.message}`;
}

/** `tailrace.yml:14:7`, as editors and terminals link it. */
export function placeText(place: {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  readonly key?: string | undefined;
}): string {
  if (place.line === 0 && place.key) return `${place.file} (${place.key})`;
  return place.line === 0 ? place.file : `${place.file}:${place.line}:${place.column}`;
}

const RED = "\u001B[31m";
const BOLD = "\u001B[1m";
const DIM = "\u001B[2m";
const GREEN = "\u001B[32m";
const RESET = "\u001B[0m";

/** The problems for people: place, message, the line with the place marked, and the fix. Ends without a line break. */
export function renderProblems(problems: readonly Problem[], options: { readonly color: boolean }): string {
  const paint = (style: string, text: string): string => (options.color ? `${style}${text}${RESET}` : text);
  return problems
    .map((problem) => {
      const lines = [`${paint(BOLD, placeText(problem))}: ${paint(RED, problem.message)}`];
      const { excerpt, fix } = problem;
      if (excerpt !== undefined) {
        const number = String(problem.line).padStart(5);
        // Tabs stay tabs, so that the mark stands under its place at any tab width.
        const indent = excerpt.text.slice(0, excerpt.column - 1).replaceAll(/[^\t]/gu, " ");
        lines.push(paint(DIM, `${number} | `) + excerpt.text);
        lines.push(paint(DIM, "      | ") + indent + paint(RED, "^".repeat(Math.max(1, excerpt.length))));
      }
      if (fix !== undefined) lines.push(`      ${paint(GREEN, "fix:")} ${fix}`);
      return lines.join("\n");
    })
    .join("\n\n");
}
