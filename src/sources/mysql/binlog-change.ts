import type { Change, Position, Transaction } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Values } from "../../contracts/values.ts";
import { ordinalText } from "./position.ts";

/** A transaction of the log; its rows find their position through it. */
export class BinlogTransaction implements Transaction {
  readonly id: string;
  readonly committedAt: bigint;
  /** What a position has before and after the ordinal. */
  readonly prefix: string;
  readonly suffix: string;

  constructor(id: string, committedAt: bigint, prefix: string, suffix: string) {
    this.id = id;
    this.committedAt = committedAt;
    this.prefix = prefix;
    this.suffix = suffix;
  }
}

/** The position is made when it is asked for: most rows of a batch never need theirs. */
export class BinlogChange implements Change {
  readonly op: Change["op"];
  readonly relation: Relation;
  readonly before: Values | null;
  readonly after: Values | null;
  readonly transaction: BinlogTransaction;
  readonly ordinal: number;

  constructor(
    op: Change["op"],
    relation: Relation,
    before: Values | null,
    after: Values | null,
    transaction: BinlogTransaction,
    ordinal: number,
  ) {
    this.op = op;
    this.relation = relation;
    this.before = before;
    this.after = after;
    this.transaction = transaction;
    this.ordinal = ordinal;
  }

  get position(): Position {
    const { prefix, suffix } = this.transaction;
    return prefix + ordinalText(this.ordinal) + suffix;
  }
}
