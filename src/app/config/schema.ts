import * as z from "zod";
import { checkAddress, connectionFields, type ConnectionSettings } from "../../kit/postgres/settings.ts";
import { alert } from "./alert-schema.ts";
import { dbt, model } from "./model-schema.ts";
import { column, constant, countOrShare, duration, longTime, name, rate, size, text } from "./schema-parts.ts";

/**
 * The one schema of the configuration. Its types are inferred, its JSON Schema and docs/configuration.md are
 * generated, and messages take their words from `wanted` and `examples`. What a connector adds (the settings of
 * its connection, a sync's `options`) is checked by the connector's own schemas.
 */

export const nullPolicy = z.enum(["send", "omit", "reject"]);
export const as = z.enum(["string", "number", "boolean", "json"]);

/** Which of `column`, `value` and `template` may stand together is checked with better words in mapping.ts. */
export const field = z
  .strictObject({
    column: text.optional().meta({
      description: "The model's column. In mode `event`, `old.COLUMN` is its value before the change.",
      examples: ["full_name"],
    }),
    value: constant.optional().meta({ description: "The same value for every record.", examples: ["customer"] }),
    template: text.optional().meta({
      description: "A Liquid template over the model's columns.",
      examples: ["{{ first_name }} {{ last_name }}"],
    }),
    null: nullPolicy.optional().meta({
      description: "What becomes of a null: `send` it (the default), `omit` the field, or `reject` the record.",
    }),
    as: as
      .optional()
      .meta({ description: "How the value is written to JSON; by default as the column's type wants it." }),
  })
  .meta({
    wanted: "a mapping with `column`, `value` or `template`",
    examples: ["{ column: full_name, null: omit }"],
  });

export const map = z.union([z.literal("*"), z.array(column), z.record(z.string(), z.union([column, field]))]).meta({
  wanted: '`"*"`, a list of columns, or a mapping of the destination\'s fields to columns',
  examples: ["{ email: email }"],
});

const onDelete = z
  .union([
    z.enum(["delete", "clear", "ignore"]),
    z.strictObject({
      archive: z.record(z.string(), constant).meta({
        description: "Fields to set on the record, instead of deleting it.",
        examples: ["{ status: inactive }"],
      }),
    }),
  ])
  .meta({
    wanted: "`delete`, `clear`, `ignore` or `{ archive: { FIELD: VALUE } }`",
    examples: ["{ archive: { status: inactive } }"],
  });

export const sync = z.strictObject({
  model: z.string().meta({ description: "The model whose rows are sent.", examples: ["MODEL"] }),
  destination: z.string().meta({ description: "Where they are sent.", examples: ["DESTINATION"] }),
  object: text.optional().meta({
    description: "The destination's object: a table, `contacts`. Not for destinations that have only one.",
    examples: ["contacts"],
  }),
  mode: z.enum(["upsert", "mirror", "insert", "update", "event"]).default("upsert").meta({
    description: "What an insert, an update and a delete become at the destination.",
  }),
  on_delete: onDelete
    .optional()
    .meta({ description: "Mode `mirror`: what becomes of a record whose row is gone. Default `delete`." }),
  max_deletes: countOrShare.optional().meta({
    description:
      "Mode `mirror`: how many records may be removed before a person is asked: by a resync in all, by deleted rows (net) within an hour. A share is of the records that there are, and never less than 100; `100%`: never ask. Default: `30%`.",
    examples: ["30%", 500],
  }),
  on: z
    .array(z.enum(["insert", "update", "delete"]))
    .min(1)
    .optional()
    .meta({
      description: "Mode `event`: which operations are sent. Default: all three.",
      examples: ["[insert, delete]"],
    }),
  match: text.optional().meta({
    description:
      "The destination's field that identifies a record. Default: the fields that the model's key is mapped to.",
    examples: ["email"],
  }),
  where: text.optional().meta({
    description:
      "Only rows for which this holds. A row that begins to hold counts as inserted, one that ceases to as deleted.",
    examples: ["plan != 'internal'"],
  }),
  map: map.optional().meta({
    description: 'The destination\'s fields and what they get. Default `"*"`: every column under its own name.',
  }),
  backfill: z
    .boolean()
    .optional()
    .meta({
      description: "Whether the rows that exist are sent first. Default true, in mode `event` false.",
      examples: [false],
    }),
  batch: z
    .strictObject({
      rows: z
        .int()
        .min(1)
        .max(100_000)
        .optional()
        .meta({ description: "Most records in one request.", examples: [500] }),
      bytes: size.optional().meta({ description: "Largest request." }),
      age: duration.optional().meta({ description: "How long a batch that is not full waits for more." }),
    })
    .optional()
    .meta({
      description: "How records are gathered into requests. Default: the destination's own.",
      examples: ["{ rows: 500, age: 20ms }"],
    }),
  on_gap: z.enum(["stop", "resync"]).default("stop").meta({
    description:
      "What happens when the log cannot be read on without a gap (slot lost, database restored, publication changed): wait for a person, or send every row again, as `tailrace resync` does. At most 3 times an hour; then it stops.",
  }),
  on_mapping_change: z.enum(["ask", "resend"]).default("ask").meta({
    description:
      "Queries: what happens when another `map`, `mode`, `match` or destination, or other columns, would send the rows again that were sent: `ask`, which stops the sync until `tailrace resume SYNC --approve-resend`, or `resend`. `tailrace plan` says how many. For a table nothing is sent again: that is `tailrace resync`.",
  }),
  on_truncate: z.enum(["stop", "ignore"]).optional().meta({
    description:
      "What a TRUNCATE of the table does: `stop` the sync, or `ignore` it. Default: `stop` in mode `mirror`, else `ignore`.",
  }),
  unchanged: z.enum(["auto", "omit", "fetch"]).default("auto").meta({
    description:
      "Large values that the source did not send because they did not change: `omit` the field, `fetch` the row, or `auto`: omit where the destination can update a part of a record, else fetch.",
  }),
  attempts: z
    .int()
    .min(1)
    .max(1000)
    .default(12)
    .meta({
      description: "How often one record is tried while others are accepted, before it becomes a failure to look at.",
      examples: [12],
    }),
  max_lag: duration.optional().meta({
    description:
      "Alerts and `tailrace status`: older than this, the oldest change that is not delivered means that the sync is behind. Default: it never is.",
    examples: ["30s"],
  }),
  max_wait: duration.optional().meta({
    description:
      "Alerts: how long the sync may wait for its destination, or its source, before that is told. Default: `30s`.",
    examples: ["1m"],
  }),
  failure_share: z
    .number()
    .positive()
    .max(1)
    .default(0.05)
    .meta({
      description: "Alerts: more than this share of the rows of the last five minutes rejected is told.",
      examples: [0.01],
    }),
  options: z
    .record(z.string(), z.unknown())
    .optional()
    .meta({ description: "The destination's own settings for this sync." }),
});

/** The keys that every source has; the rest is its connector's. */
export const sourceBase = z.strictObject({
  type: z.string().meta({ description: "Which connector.", examples: ["postgres"] }),
});

/** The keys that every destination has; the rest is its connector's. */
export const destinationBase = z.strictObject({
  type: z.string().meta({ description: "Which connector.", examples: ["webhook"] }),
  rate: rate
    .optional()
    .meta({ description: "Most requests in a time, over all syncs. Default: the destination's own." }),
  concurrency: z
    .int()
    .min(1)
    .max(1000)
    .optional()
    .meta({
      description: "Most requests in flight, over all syncs. Default: the destination's own.",
      examples: [8],
    }),
});

/** Which keys belong to which type is checked here, so that there is one table of them all. */
export const state = z
  .strictObject({
    type: z.enum(["sqlite", "postgres"]).default("sqlite").meta({
      description: "`sqlite`: a file, for one machine. `postgres`: a database, which several machines share.",
    }),
    path: text.optional().meta({
      description:
        "Type `sqlite`: the file that holds checkpoints and failures, relative to this file. Default: `.tailrace/state.db`.",
      examples: [".tailrace/state.db"],
    }),
    url: text.optional().meta({
      secret: true,
      description: "Type `postgres`: the database. Reserved characters are %-encoded.",
      examples: ["postgres://USER:PASSWORD@HOST:5432/DATABASE"],
    }),
    schema: text.optional().meta({
      description: "Type `postgres`: the schema of the state's tables, which are made there. Default: `tailrace`.",
    }),
    tls: connectionFields.tls.meta({
      description: "Type `postgres`: TLS to the database; a word alone is its `mode`.",
      examples: ["{ mode: verify-full, ca: ca.pem }"],
    }),
  })
  .superRefine((value, context) => {
    const wrong = (key: string, message: string): void => {
      context.addIssue({ code: "custom", message, path: [key] });
    };
    if (value.type === "postgres") {
      if (value.path !== undefined)
        wrong("path", "`path` is for type `sqlite`; a state of type `postgres` has a `url`");
      if (value.url === undefined)
        context.addIssue({ code: "custom", message: "`state` of type `postgres` needs a `url`" });
      else checkAddress(value, context);
      if (Buffer.byteLength(value.schema ?? "") > 63) wrong("schema", "`schema` is longer than 63 bytes");
    } else
      for (const key of ["url", "schema", "tls"] as const)
        if (value[key] !== undefined) wrong(key, `\`${key}\` is for a state of type \`postgres\``);
  })
  .transform(({ type, path, url, schema, tls }): StateSettings =>
    type === "postgres"
      ? { type, url: url ?? "", schema: schema ?? "tailrace", tls }
      : { type, path: path ?? ".tailrace/state.db" },
  );

/** Where progress is kept. */
export type StateSettings =
  | { readonly type: "sqlite"; readonly path: string }
  | {
      readonly type: "postgres";
      /** Secret. */
      readonly url: string;
      readonly schema: string;
      readonly tls: ConnectionSettings["tls"];
    };

export const project = z.strictObject({
  name: name.default("tailrace").meta({
    description:
      "The project. Part of the names of what is made on the source, so two projects on one database need two names.",
    examples: ["shop"],
  }),
  state: state
    .prefault({})
    .meta({ description: "Where progress is kept.", examples: ["{ path: .tailrace/state.db }"] }),
  log: z
    .strictObject({
      level: z
        .enum(["debug", "info", "warn", "error"])
        .default("info")
        .meta({ description: "The least severe message that is written." }),
    })
    .prefault({})
    .meta({ description: "What is logged.", examples: ["{ level: info }"] }),
  failures: z
    .strictObject({
      keep: longTime.optional().meta({
        description:
          "How long a failure, and the record of one that was dropped, is kept. One that gets older is dropped, which is logged and recorded. Default: until it is retried or dropped by hand.",
      }),
      most: z
        .int()
        .min(1)
        .max(10_000_000)
        .default(100_000)
        .meta({
          description: "A sync that has so many failures stops, instead of forgetting any.",
          examples: [100_000],
        }),
    })
    .prefault({})
    .meta({
      description: "How long rejected rows are kept, and how many of each sync.",
      examples: ["{ keep: 30d, most: 100000 }"],
    }),
  alerts: z
    .record(name, alert)
    .default({})
    .meta({
      description: "Who is told when a sync stops, waits, falls behind or recovers, by name.",
      examples: ['{ ops: { type: slack, url: "${SLACK_URL}" } }'],
    }),
  history: z
    .union([
      z.literal("off"),
      z.strictObject({
        bytes: size.default(64_000_000).meta({
          description: "How large it gets: beyond that the oldest is removed.",
          examples: ["64MB"],
        }),
        path: text.optional().meta({
          description:
            "The folder that it is kept in, relative to this file. Default: `history`, beside the state file.",
          examples: [".tailrace/history"],
        }),
      }),
    ])
    .prefault({})
    .meta({
      wanted: "`off`, or a mapping with `bytes` and `path`",
      description: "What happened to rows lately, for `tailrace trace`. Holds rows' values. `off`: nothing is kept.",
      examples: ["{ bytes: 64MB }"],
    }),
  dbt: dbt.optional().meta({
    description: "The dbt project whose models `dbt:` of a model names.",
    examples: ["{ project: ../dbt }"],
  }),
  sources: z
    .record(name, sourceBase)
    .default({})
    .meta({
      description: "Databases to read from, by name.",
      examples: ['{ shop: { type: postgres, url: "${SHOP_URL}" } }'],
    }),
  models: z
    .record(name, model)
    .default({})
    .meta({ description: "What to read, by name.", examples: ["{ users: { source: shop, table: public.users } }"] }),
  destinations: z
    .record(name, destinationBase)
    .default({})
    .meta({
      description: "Tools to write to, by name.",
      examples: ['{ hook: { type: webhook, url: "https://example.com/in" } }'],
    }),
  syncs: z
    .record(name, sync)
    .default({})
    .meta({
      description: "What goes where, by name.",
      examples: ["{ users_to_hook: { model: users, destination: hook } }"],
    }),
});

export type SyncInput = z.output<typeof sync>;
export type MapInput = z.output<typeof map>;
