// Opens pages in Chromium and does what a reader does. `node test/run.mjs IRQLAB WITNESS [NAME ..]` takes the two programs that
// cargo built, and the names of the tests to run. It ends with 1 where a test fails.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { chromium } from "playwright-core";
import { served } from "./serve.mjs";
import { tests } from "./tests.mjs";

const [irqlab, witness, ...named] = process.argv.slice(2);
if (!irqlab || !witness) {
  console.error("expected: node test/run.mjs IRQLAB WITNESS [NAME ..]");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "page-"));
const browser = await chromium.launch({
  executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
  args: ["--no-sandbox", "--disable-gpu"],
});

/** Writes a page, and says how large it is. */
function page(name, ...args) {
  const file = join(folder, `${name}.html`);
  execFileSync(irqlab, ["page", ...args, "-o", file, "--force"], { stdio: ["ignore", "ignore", "inherit"] });
  return { file, size: statSync(file).size };
}

/** Opens a page; what its console says is a mistake. */
async function open(file, { hash = "", width = 1440, height = 900, scheme = "light" } = {}) {
  const context = await browser.newContext({ viewport: { width, height }, colorScheme: scheme, offline: true });
  const tab = await context.newPage();
  const said = [];
  tab.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
  tab.on("pageerror", (error) => said.push(String(error.stack)));
  const began = Date.now();
  await tab.goto(`file://${file}${hash}`);
  await tab.waitForFunction(() => window.irqlab !== undefined);
  await tab.evaluate(() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done))));
  const took = Date.now() - began;
  return { tab, said, took, close: () => context.close() };
}

const bench = {
  irqlab,
  browser,
  page,
  open,
  witness: (...args) =>
    execFileSync(witness, args, { maxBuffer: 1 << 30, encoding: "utf8" }).trim().split("\n").map((line) => JSON.parse(line)),
};
let failed = 0;
for (const [name, test] of Object.entries({ ...tests, ...served })) {
  if (named.length > 0 && !named.includes(name)) continue;
  try {
    const note = await test(bench);
    console.log(`ok    ${name}${note ? `: ${note}` : ""}`);
  } catch (error) {
    failed++;
    console.log(`FAIL  ${name}: ${error.stack}`);
  }
}
await browser.close();
rmSync(folder, { recursive: true });
process.exit(failed > 0 ? 1 : 0);
