import { type Document, isCollection, isScalar, visit, type YAMLError } from "yaml";
import type { SourceText } from "./source-text.ts";
import type { Flaw } from "./tree.ts";

interface Explanation {
  readonly message: string;
  readonly fix: string;
}

/** The parser's own messages may quote the file, so none of them is passed on. */
const BY_CODE: Readonly<Record<string, Explanation>> = {
  TAB_AS_INDENT: { message: "a tab is used as indentation, which YAML forbids", fix: "indent with spaces." },
  BAD_INDENT: {
    message: "the indentation is wrong, or a bracket is not closed",
    fix: "line the keys of one mapping up, and close every `[` and `{`.",
  },
  BLOCK_AS_IMPLICIT_KEY: {
    message: "a mapping begins in the middle of a value",
    fix: "quote a text that holds `: `; a key on the next line must be indented like the one before it.",
  },
  MULTILINE_IMPLICIT_KEY: {
    message: "a key goes over several lines, or its `:` is missing",
    fix: "write `key: value` on one line.",
  },
  KEY_OVER_1024_CHARS: {
    message: "a key is longer than 1024 characters",
    fix: "is a `:` missing or a quote not closed?",
  },
  BLOCK_IN_FLOW: {
    message: "inside `[ ]` or `{ }` there is a `-`, `|` or `>` that belongs outside",
    fix: "close the bracket, or write the list as `[a, b]`.",
  },
  BAD_SCALAR_START: {
    message: "a plain value cannot begin with this character",
    fix: 'put the value in quotes: "…".',
  },
  BAD_ALIAS: { message: "this alias is not written as one", fix: "quote a text that begins with `*` or `&`." },
  BAD_DIRECTIVE: { message: "this `%` line is not a YAML directive", fix: "remove the line." },
  BAD_DQ_ESCAPE: {
    message: "an escape in the double quotes is not one that YAML knows",
    fix: "write `\\\\` for a backslash, or use single quotes.",
  },
  COMMENT_SPACE: { message: "a comment must be set off by a space", fix: "write a space before `#`." },
  MISSING_CHAR: {
    message: "something is missing here: a `:` after a key, a closing quote or a comma",
    fix: "write `key: value`, and close every quote.",
  },
  MULTIPLE_ANCHORS: { message: "one value has two anchors", fix: "remove one `&name`." },
  MULTIPLE_DOCS: { message: "the document ends here, but more follows", fix: "remove the `...` or `---`." },
  MULTIPLE_TAGS: { message: "one value has two tags", fix: "remove the `!…`." },
  TAG_RESOLVE_FAILED: {
    message: "tags such as `!name` are not supported",
    fix: "remove the tag, or quote a text that begins with `!`.",
  },
  UNEXPECTED_TOKEN: {
    message: "this does not belong here",
    fix: "check the lines before it: a bracket or a quote too many, or a wrong indentation.",
  },
  RESOURCE_EXHAUSTION: { message: "this file is nested too deeply", fix: "write it with fewer levels." },
};

const MISSING_VALUE: Explanation = { message: "a `:` is missing after this key", fix: "write `key: value`." };
const MISSING_QUOTE: Explanation = { message: "a quote that was opened is not closed", fix: "close the quote." };
const MISSING_BRACKET: Explanation = {
  message: "a bracket that was opened is not closed",
  fix: "close it with `]` or `}`.",
};
const OTHER: Explanation = { message: "this is not YAML", fix: "check the indentation, the quotes and the brackets." };

/** `text`: what was parsed, whose places are those of the source. */
export function syntaxFlaw(error: YAMLError, source: SourceText, document: Document.Parsed, text: string): Flaw {
  const opened = openedAt(error, document, text);
  if (opened !== null) {
    const explanation = /["']/.test(text.charAt(opened)) ? MISSING_QUOTE : MISSING_BRACKET;
    return { place: source.point(opened), path: [], ...explanation };
  }
  const [start, end] = error.pos;
  return { place: source.place(start, Math.max(end, start + 1)), path: [], ...explain(error) };
}

/** Where what is not closed was opened: the parser only says where it gave up. */
function openedAt(error: YAMLError, document: Document.Parsed, text: string): number | null {
  const quote = error.code === "MISSING_CHAR" && error.message.includes("quote");
  if (!quote && !/[Ff]low (sequence|map)/.test(error.message)) return null;
  let opened: number | null = null;
  visit(document, {
    Node(_, node) {
      const [start, end] = node.range ?? [0, 0];
      if (start > error.pos[0]) return;
      const last = text.charAt(end - 1);
      if (quote && isScalar(node) && node.type?.startsWith("QUOTE") && (end - start < 2 || last !== text.charAt(start)))
        opened = start;
      if (!quote && isCollection(node) && node.flow === true && last !== (text.charAt(start) === "[" ? "]" : "}"))
        opened = start;
    },
  });
  return opened;
}

function explain(error: YAMLError): Explanation {
  if (error.code === "MISSING_CHAR" && error.message.includes("map values")) return MISSING_VALUE;
  return BY_CODE[error.code] ?? OTHER;
}
