import type { Change, Position, Transaction } from "../../contracts/change.ts";
import type { Relation } from "../../contracts/relation.ts";
import type { Values } from "../../contracts/values.ts";
import { hex8 } from "./position.ts";

/** A transaction of the stream; its rows find their position through it. */
export class PgTransaction implements Transaction {
  readonly id: string;
  readonly committedAt: bigint;
  readonly prefix: string;

  constructor(id: string, committedAt: bigint, prefix: string) {
    this.id = id;
    this.committedAt = committedAt;
    this.prefix = prefix;
  }
}

/** The position is made when it is asked for: most rows of a batch never need theirs. */
export class PgChange implements Change {
  readonly op: Change["op"];
  readonly relation: Relation;
  readonly before: Values | null;
  readonly after: Values | null;
  readonly transaction: PgTransaction;
  readonly ordinal: number;

  constructor(
    op: Change["op"],
    relation: Relation,
    before: Values | null,
    after: Values | null,
    transaction: PgTransaction,
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
    return this.transaction.prefix + hex8(this.ordinal);
  }
}
