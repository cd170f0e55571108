export interface StarterFile {
  /** Relative to the project's folder. */
  readonly path: string;
  readonly text: string;
}

const CONFIG = `# yaml-language-server: $schema=./tailrace.schema.json
# Every key: docs/configuration.md. Check what you wrote with \`tailrace check\`.

# Part of the names of what Tailrace makes on the source: two projects on one database need two names.
name: starter

# Where rows come from.
sources:
  shop:
    type: postgres
    url: \${SHOP_URL} # from the environment, or from .env

# What is read: tables, queries, and models of a dbt project. docs/models.md says how each is followed.
models:
  users:
    source: shop
    table: public.users # its key is its primary key
  # golden_users: # a query is followed, too: by the log of the tables that it reads
  #   source: shop
  #   key: id
  #   sql: | # or the path of a .sql file
  #     SELECT u.id, u.email, sum(o.total) AS spent
  #     FROM users u JOIN orders o ON o.user_id = u.id
  #     GROUP BY u.id

# Where they go.
destinations:
  hook:
    type: webhook
    url: \${HOOK_URL}
    rate: 50/s # at most; shared by every sync that goes there

# What goes where. Rows that exist are sent first, then every change as it is committed.
syncs:
  users_to_hook:
    model: users
    destination: hook
    mode: upsert # or mirror (deletes, too), insert, update, event
    # where: plan <> 'internal'
    # map: # without it, every column is sent under its own name
    #   id: id
    #   email: email
    #   name: { template: "{{ first_name }} {{ last_name }}" }
    #   plan: { column: plan, null: omit }
`;

const PROGRAM = `// Every key: docs/configuration.md. For types in the editor: npm install --save-dev tailrace
import { columns, defineConfig } from "tailrace";

export default defineConfig({
  // Part of the names of what Tailrace makes on the source: two projects on one database need two names.
  name: "starter",
  sources: {
    shop: { type: "postgres", url: "\${SHOP_URL}" }, // from the environment, or from .env
  },
  models: {
    users: { source: "shop", table: "public.users" }, // its key is its primary key
  },
  destinations: {
    hook: { type: "webhook", url: "\${HOOK_URL}", rate: "50/s" },
  },
  syncs: {
    users_to_hook: {
      model: "users",
      destination: "hook",
      mode: "upsert", // or mirror (deletes, too), insert, update, event
      where: columns(["email"], ({ email }) => email !== null && !email.endsWith("@example.com")),
      map: {
        id: "id", // the destination's field: the model's column
        email: columns(["email"], ({ email }) => email?.toLowerCase() ?? null),
      },
    },
  },
});
`;

const ENVIRONMENT = `# Copy to .env and fill in. Keep .env out of git.
SHOP_URL=postgres://tailrace:PASSWORD@localhost:5432/shop
HOOK_URL=https://example.com/in
`;

/** What \`tailrace init\` writes. The configuration is complete once the variables of \`.env.example\` are set. */
export const STARTER: readonly StarterFile[] = [
  { path: "tailrace.yml", text: CONFIG },
  { path: ".env.example", text: ENVIRONMENT },
];

/** What it writes with `--typescript`. */
export const TYPESCRIPT_STARTER: readonly StarterFile[] = [
  { path: "tailrace.config.ts", text: PROGRAM },
  { path: ".env.example", text: ENVIRONMENT },
];

/** Lines that \`.gitignore\` must have: secrets and state. */
export const STARTER_GITIGNORE: readonly string[] = [".env", ".tailrace/"];
