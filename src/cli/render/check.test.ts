import { expect, test } from "vitest";
import type { CheckReport } from "../../app/check.ts";
import { renderCheck } from "./check.ts";
import { painter } from "./paint.ts";

const report: CheckReport = {
  checked: [
    { kind: "source", name: "shop", detail: "postgres", seen: true },
    { kind: "destination", name: "hook", detail: "webhook", seen: true },
    { kind: "sync", name: "users", detail: "users → hook, upsert", seen: false },
    { kind: "state", name: "/srv/state.db", detail: "", seen: true },
  ],
  findings: [
    { level: "info", code: "a.note", message: "Good to know.", about: { kind: "source", name: "shop" } },
    {
      level: "error",
      code: "postgres.select",
      message: "The role may not read the table.",
      fix: 'GRANT SELECT ON TABLE "public"."users" TO "me";\nSELECT 1;',
      subject: "public.users",
      about: { kind: "source", name: "shop" },
    },
  ],
  ok: false,
};

test("grouped by what it is about, the worst first, each with its fix", () => {
  expect(renderCheck(report, painter(false))).toMatchInlineSnapshot(`
    "source shop  postgres
      error    public.users: The role may not read the table. (postgres.select)
               fix: GRANT SELECT ON TABLE "public"."users" TO "me";
                    SELECT 1;
      info     Good to know. (a.note)
    destination hook  webhook  ok
    sync users  users → hook, upsert  not checked
    state /srv/state.db  ok

    1 error, 0 warnings, 1 note.
    "
  `);
});

test("without findings it says so", () => {
  expect(renderCheck({ ...report, findings: [], ok: true }, painter(false))).toContain("All is well.");
});
