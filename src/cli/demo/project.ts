import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GOLDEN_USERS } from "./golden-users.ts";
import { BIG_ORDER } from "./shop.ts";

export const GOLDEN_SYNC = "golden_users_mirror";

/** The demo's configuration, as a user would write it. */
export const CONFIG = `# The configuration that \`tailrace demo\` runs.
name: demo

sources:
  shop: { type: postgres, url: "\${SHOP_URL}" }

models:
  users:  { source: shop, table: public.users }
  orders: { source: shop, table: public.orders }
  # Any SELECT, followed live by the log of the tables that it reads.
  golden_users: { source: shop, sql: models/golden_users.sql, key: id }

destinations:
  receiver:
    type: webhook
    url: \${RECEIVER_URL}
    allow_private: true
  crm_database:
    type: postgres
    url: \${CRM_URL}
    create_tables: true

syncs:
  # An order that becomes abandoned is an event, whichever way it got there.
  abandoned_carts:
    model: orders
    destination: receiver
    mode: event
    on: [insert]                 # a row that enters \`where\` counts as inserted
    where: status = 'abandoned'
    options: { path: /carts }
    map:
      order: id
      text: { template: "User {{ user_id }} left {{ total }} in the cart." }

  # Every user, kept the same in another database: new, changed and deleted.
  users_mirror:
    model: users
    destination: crm_database
    object: contacts
    mode: mirror
    map: { id: id, full_name: name, email: email, plan: plan, ltv: lifetime_value }

  # Users, orders and support tickets, joined: a user becomes golden, changes or leaves within milliseconds.
  ${GOLDEN_SYNC}:
    model: golden_users
    destination: crm_database
    object: golden_users
    mode: mirror

  # Tell the team about big orders the moment they are placed.
  big_order_alerts:
    model: orders
    destination: receiver
    mode: event
    on: [insert]
    where: total >= ${BIG_ORDER} and status = 'open'
    options: { path: /alerts }
    map:
      order: id
      text: { template: "Order {{ id }}: {{ total }}!" }
`;

/** Writes the project into a folder, as \`tailrace init\` and an editor would. Returns the configuration's path. */
export async function writeProject(folder: string): Promise<string> {
  await mkdir(join(folder, "models"), { recursive: true });
  await writeFile(join(folder, "models", "golden_users.sql"), GOLDEN_USERS);
  const path = join(folder, "tailrace.yml");
  await writeFile(path, CONFIG);
  return path;
}
