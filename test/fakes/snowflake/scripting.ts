// Anonymous blocks of Snowflake Scripting, as far as Tailrace writes them:
// https://docs.snowflake.com/en/developer-guide/snowflake-scripting/blocks
import type { Account } from "./account.ts";
import { syntaxError } from "./errors.ts";
import { type Answer, done, type Session } from "./session.ts";
import { Reader, type Token } from "./tokens.ts";

class Returned {
  readonly answer: Answer;
  constructor(answer: Answer) {
    this.answer = answer;
  }
}

export async function runBlock(account: Account, session: Session, tokens: readonly Token[]): Promise<Answer> {
  const reader = new Reader(tokens);
  const results = new Map<string, Answer>();
  if (reader.take("DECLARE"))
    while (reader.peek() !== "BEGIN") {
      reader.next();
      reader.need("RESULTSET", ";");
    }
  reader.need("BEGIN");
  const handlerAt = tokens.findIndex(({ kind, text }) => kind === "word" && text === "EXCEPTION");
  const block = { account, session, results };
  try {
    const returned = await statements(block, reader, handlerAt >= 0 ? "EXCEPTION" : "END");
    return returned?.answer ?? done("anonymous block");
  } catch (error) {
    if (handlerAt < 0) throw error;
    const handler = new Reader(tokens, handlerAt);
    handler.need("EXCEPTION", "WHEN", "OTHER", "THEN");
    const returned = await statements({ ...block, raised: error }, handler, "END");
    return returned?.answer ?? done("anonymous block");
  }
}

interface Block {
  readonly account: Account;
  readonly session: Session;
  readonly results: Map<string, Answer>;
  readonly raised?: unknown;
}

async function statements(block: Block, reader: Reader, end: string): Promise<Returned | null> {
  const { account, session, results } = block;
  while (!reader.take(end)) {
    if (reader.take("IF")) {
      const condition = reader.parenthesised().map(({ text }) => text);
      reader.need("THEN");
      if (condition[0] !== "SQLROWCOUNT" || condition[1] !== "=") throw syntaxError(condition[0] ?? ")");
      if (session.rowCount === Number(condition[2])) {
        const returned = await statements(block, reader, "END");
        if (returned !== null) return returned;
        reader.need("IF", ";");
      } else while (!reader.take("END", "IF", ";")) reader.next();
      continue;
    }
    const statement = statementOf(reader);
    if (statement.take("RAISE")) throw block.raised;
    if (statement.take("RETURN", "TABLE")) {
      const name = statement.parenthesised()[0]?.text ?? "";
      const answer = results.get(name);
      if (answer === undefined) throw syntaxError(name);
      return new Returned(answer);
    }
    if (statement.peek(1) === ":=") {
      const name = statement.next();
      statement.next();
      results.set(name, await account.step(session, statement.parenthesised()));
      continue;
    }
    await account.step(session, statement.rest());
  }
  return null;
}

function statementOf(reader: Reader): Reader {
  const tokens: Token[] = [];
  while (reader.peek() !== ";") {
    tokens.push(reader.tokens[reader.at]!);
    reader.next();
  }
  reader.next();
  return new Reader(tokens);
}
