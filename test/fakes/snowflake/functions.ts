// Functions whose value is of the account or the session, as SQL.
import type { Account } from "./account.ts";
import type { SchemaObject } from "./catalogue.ts";
import { missing, syntaxError } from "./errors.ts";
import type { Session } from "./session.ts";
import { Reader, type Token, tokensOf } from "./tokens.ts";

export async function callFunction(
  account: Account,
  session: Session,
  name: string,
  args: readonly Token[],
): Promise<string> {
  switch (name) {
    case "CURRENT_TIMESTAMP":
      return `'${new Date(account.nowMs()).toISOString()}'`;
    case "DATE_PART":
      if (args[0]?.text !== "EPOCH_MILLISECOND" || args[2]?.text !== "CURRENT_TIMESTAMP")
        throw syntaxError(args[0]?.text ?? ")");
      return String(account.nowMs());
    case "CURRENT_ROLE":
      return `'${session.role}'`;
    case "CURRENT_ACCOUNT":
      return "'FAKE'";
    case "SYSTEM$STREAM_HAS_DATA": {
      const stream = named(account, session, args);
      if (stream.kind !== "stream") throw missing("Stream", stream.name);
      return (await account.hasData(stream)) ? "'true'" : "'false'";
    }
    case "SYSTEM$LAST_CHANGE_COMMIT_TIME": {
      const object = named(account, session, args);
      if (object.kind === "stream") throw missing("Table", object.name);
      const tables = object.kind === "view" ? account.tablesOf(session, object) : [object];
      return String(Math.max(...tables.map(({ changedAt }) => changedAt)) * 1_000_000);
    }
    default:
      throw syntaxError(name);
  }
}

function named(account: Account, session: Session, args: readonly Token[]): SchemaObject {
  return account.resolve(session, new Reader(tokensOf(new Reader(args).text())).name());
}
