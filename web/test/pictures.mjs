// Takes the pictures of docs/page: `node test/pictures.mjs IRQLAB FOLDER`.
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { chromium } from "playwright-core";

const [irqlab, out] = process.argv.slice(2);
if (!irqlab || !out) {
  console.error("expected: node test/pictures.mjs IRQLAB FOLDER");
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "page-"));
const script = fileURLToPath(new URL("offline.sh", import.meta.url));
const PAGES = {
  boot: [],
  lesson: ["--lesson", "4"],
  diff: ["--script", script, "--diff", "v5.4", "v6.12"],
  exhibit: ["--exhibit", "M12"],
};
/** Page, width, scheme, place. */
const PICTURES = [
  ["boot", 1440, "light", "#record=8010&irq=28"],
  ["boot", 1440, "dark", "#record=8010&irq=28&tab=vectors"],
  ["boot", 1024, "light", "#record=8010&irq=28&tab=messages"],
  ["boot", 1024, "dark", "#record=8034&irq=28&tab=vectors"],
  ["boot", 800, "light", "#record=8010&irq=28"],
  ["boot", 800, "dark", "#record=8034&tab=interrupts"],
  ["lesson", 1440, "light", "#record=22"],
  ["diff", 1440, "dark", "#record=380"],
  ["exhibit", 1024, "light", "#record=60"],
];
const browser = await chromium.launch({ executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium", args: ["--no-sandbox"] });
for (const [name, width, colorScheme, hash] of PICTURES) {
  const file = join(folder, `${name}.html`);
  execFileSync(irqlab, ["page", ...PAGES[name], "-o", file, "--force"], { stdio: ["ignore", "ignore", "inherit"] });
  const tab = await browser.newPage({ viewport: { width, height: Math.round(Math.max(720, width * 0.6)) }, colorScheme });
  await tab.goto(`file://${file}${hash}`);
  await tab.waitForFunction(() => window.irqlab !== undefined);
  await tab.waitForTimeout(600);
  await tab.screenshot({ path: join(out, `${name}-${width}-${colorScheme}.png`) });
  await tab.close();
}
await browser.close();
rmSync(folder, { recursive: true });
