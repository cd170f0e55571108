// Runs a script (or, with --bin, a tool of node_modules) under the project's own Node; what begins with `--` before it is for Node.
//
// Plain JavaScript with no dependency, because it is what runs first on a fresh clone, under whatever
// Node the machine has: it installs what the lock file names when that has not been done yet, then hands
// over to the Node of devDependencies.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const node = join(root, "node_modules", "node", "bin", process.platform === "win32" ? "node.exe" : "node");
const stamp = join(root, "node_modules", ".tailrace-installed");

const wanted = createHash("sha256")
  .update(readFileSync(join(root, "package.json")))
  .update(readFileSync(join(root, "package-lock.json")))
  .digest("hex");

/** True when node_modules was installed from this very package.json and lock file, and its Node runs. */
function installed() {
  if (!existsSync(stamp) || readFileSync(stamp, "utf8") !== wanted) return false;
  return spawnSync(node, ["--version"]).status === 0;
}

function run(command, args, env = process.env) {
  const result = spawnSync(command, args, {
    cwd: root,
    stdio: ["ignore", 2, 2],
    shell: process.platform === "win32",
    env,
  });
  if (result.status !== 0) {
    console.error(`tailrace: \`${command} ${args.join(" ")}\` failed (exit ${result.status ?? result.signal}).`);
    process.exit(1);
  }
}

// The project's Node comes first on PATH, so that child processes run it too.
const env = { ...process.env, PATH: `${dirname(node)}${process.platform === "win32" ? ";" : ":"}${process.env.PATH}` };

if (!installed()) {
  console.error("tailrace: installing dependencies (once for each lock file) …");
  // Not `npm ci`: it refuses a lock file without the optional binaries of every other platform, and not every
  // registry mirror has those. `install --no-save` follows the lock file and changes nothing in the checkout.
  const install = ["install", "--no-save", "--no-audit", "--no-fund", "--loglevel=error"];
  run("npm", install);
  // npm may leave install scripts out, by policy or by --ignore-scripts; the `node` package needs its own.
  if (spawnSync(node, ["--version"]).status !== 0) {
    run(process.execPath, [join(root, "node_modules", "node", "installArchSpecificPackage.js")]);
  }
  if (spawnSync(node, ["--version"]).status !== 0) {
    console.error(
      "tailrace: the project's own Node (devDependencies.node) could not be installed. Try `npm rebuild node`.",
    );
    process.exit(1);
  }
  // An older Node leaves out optional packages that need a newer one, without a word; ours has them.
  if (spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim() !== process.version) run("npm", install, env);
  writeFileSync(stamp, wanted);
}

const given = process.argv.slice(2);
const options = given.splice(
  0,
  given.findIndex((argument) => argument === "--bin" || !argument.startsWith("--")),
);
const [first, ...rest] = given;
const args = [...options, ...(first === "--bin" ? [binary(rest[0]), ...rest.slice(1)] : [join(root, first), ...rest])];

/** The JavaScript file behind a tool of node_modules/.bin. */
function binary(name) {
  const dir = join(root, "node_modules", { tsc: "typescript" }[name] ?? name);
  const { bin } = JSON.parse(readFileSync(join(dir, "package.json"), "utf8"));
  return join(dir, typeof bin === "string" ? bin : bin[name]);
}

const child = spawn(node, ["--disable-warning=ExperimentalWarning", ...args], { stdio: "inherit", env });
// A terminal sends Ctrl-C to the whole group; a supervisor signals only us. The child decides when to stop.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) {
  process.on(signal, () => {
    if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
  });
}
child.on("exit", (code, signal) => {
  if (signal) {
    process.removeAllListeners(signal);
    process.kill(process.pid, signal);
  } else process.exit(code ?? 1);
});
