// Writes docs/destinations/NAME.md of every destination that declares a guide, and their table in README.md: `node scripts/destination-docs.mjs`.
// A test fails when one is out of date.
import { readFileSync, writeFileSync } from "node:fs";
import { destinationSettings, destinationTypes } from "../src/app/settings.ts";

const BEGIN = "<!-- written by scripts/destination-docs.mjs -->";
const END = "<!-- end -->";

/** Text by path, as it should be. */
export async function destinationDocs() {
  const all = await Promise.all((await destinationTypes()).map(({ type }) => destinationSettings(type)));
  const guided = all.filter(({ guide }) => guide !== null);
  const pages = guided.map((settings) => [`docs/destinations/${settings.type}.md`, page(settings)]);
  const readme = read("README.md");
  const [before, after] = [readme.indexOf(BEGIN) + BEGIN.length, readme.indexOf(END)];
  const table = readme.slice(0, before) + `\n${guided.map(readmeRow).join("\n")}\n` + readme.slice(after);
  return new Map([...pages, ["README.md", table]]);
}

function page({ title, settings, options, guide }) {
  const objects = guide.objects.map(
    ({ name, match, modes, deletes, batch }) =>
      `| ${name} | ${match} | ${modes.join(", ")} | ${deletesOf(deletes)} | ${batch} |`,
  );
  return `# ${title}

${guide.summary}

\`\`\`yaml
${guide.example}
\`\`\`

## Credentials

${guide.credentials}

## Objects

| object | found by | modes | on_delete | requests |
|---|---|---|---|---|
${objects.join("\n")}

## Limits

${guide.limits}

## Good to know

${guide.notes}

## Settings

${keys(settings)}
${options.length === 0 ? "" : `\n### \`options\` of a sync\n\n${keys(options)}\n`}
*Written by \`scripts/destination-docs.mjs\` from the destination's definition.*
`;
}

function keys(settings) {
  const secrets = settings.filter(({ secret }) => secret).map(({ key }) => `${key}.`);
  // Where a secret may be kept is said with the secret itself.
  const shown = settings.filter(({ key }) => !secrets.some((secret) => key.startsWith(secret)));
  const rows = shown.map(({ key, value, required, default: otherwise, secret, description }) => {
    const notes = [
      required ? "**required**" : "",
      otherwise === null ? "" : `default \`${otherwise}\``,
      secret ? "secret" : "",
    ];
    return `| \`${key}\` | ${cell(value)} | ${notes.filter(Boolean).join(", ")} | ${cell(description)} |`;
  });
  return `| key | value | | |\n|---|---|---|---|\n${rows.join("\n")}`;
}

function readmeRow({ type, title, guide }) {
  const modes = [...new Set(guide.objects.flatMap((each) => each.modes))];
  const deletes = [...new Set(guide.objects.flatMap((each) => each.deletes))];
  return `| [${type}](docs/destinations/${type}.md) | ${modes.join(", ")} | ${deletesOf(deletes)} | ${title}: ${cell(guide.objects.map(({ name }) => name).join(", "))} |`;
}

function deletesOf(deletes) {
  return deletes.filter((kind) => kind !== "ignore").join(", ") || "none";
}

function cell(text) {
  return text.replaceAll("|", "\\|").replaceAll("\n", " ");
}

function read(path) {
  return readFileSync(new URL(`../${path}`, import.meta.url), "utf8");
}

if (import.meta.main)
  for (const [path, text] of await destinationDocs()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
