import { expect, test } from "vitest";
import { type Problem, renderProblems } from "./problem.ts";

const problem: Problem = {
  file: "tailrace.yml",
  line: 14,
  column: 3,
  key: "syncs.a.matach",
  message: "unknown key `matach` in sync `a`; did you mean `match`?",
  fix: "write `match:` instead.",
  excerpt: { text: "\t\tmatach: email", column: 3, length: 6 },
};

test("a problem is its place, the line with a mark, and the fix", () => {
  expect(renderProblems([problem], { color: false })).toBe(
    [
      "tailrace.yml:14:3: unknown key `matach` in sync `a`; did you mean `match`?",
      "   14 | \t\tmatach: email",
      "      | \t\t^^^^^^",
      "      fix: write `match:` instead.",
    ].join("\n"),
  );
});

test("a problem without a place is its file and message", () => {
  const bare: Problem = { file: "tailrace.yml", line: 0, column: 0, key: "", message: "there is none" };
  expect(renderProblems([bare, bare], { color: false })).toBe(
    "tailrace.yml: there is none\n\ntailrace.yml: there is none",
  );
});

test("colour adds escapes and nothing else", () => {
  const colored = renderProblems([problem], { color: true });
  expect(colored).toContain("\u001B[31m");
  // eslint-disable-next-line no-control-regex
  expect(colored.replaceAll(/\u001B\[\d+m/g, "")).toBe(renderProblems([problem], { color: false }));
});
