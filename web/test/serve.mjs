// What has to hold of `irqlab serve` in a browser.
import assert from "node:assert/strict";
import { spawn, execFileSync } from "node:child_process";
import { createRequire } from "node:module";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

const axe = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const RESET = "echo 1 > /sys/class/nvme/nvme0/reset_controller";

/** Starts a server, opens its address, and ends both at the end. */
async function serving({ irqlab, browser }, use, { width = 1440, height = 900, says = [] } = {}) {
  const server = spawn(irqlab, ["serve"], { stdio: ["ignore", "pipe", "inherit"] });
  const context = await browser.newContext({ viewport: { width, height }, acceptDownloads: true });
  try {
    const address = await new Promise((found, lost) => {
      server.once("error", lost);
      server.stdout.once("data", (data) => found(String(data).split("\n")[0]));
    });
    const tab = await context.newPage();
    const said = [];
    tab.on("console", (message) => said.push(`${message.type()}: ${message.text()}`));
    tab.on("pageerror", (error) => said.push(String(error.stack)));
    await tab.goto(address);
    await tab.waitForFunction(() => window.irqlab !== undefined);
    const note = await use(tab, address);
    assert.deepEqual(said.map((it) => it.replace(/ \(.*\)$/, "")), says);
    return note;
  } finally {
    await context.close();
    server.kill("SIGINT");
    await new Promise((ended) => server.once("exit", ended));
  }
}

/** Types a line and waits for its answer. */
async function type(tab, line) {
  const input = tab.getByRole("textbox", { name: "Command" });
  await input.fill(line);
  await input.press("Enter");
  await tab.waitForFunction(() => document.querySelector(".prompt .grow")?.textContent.endsWith("running") === false);
  await tab.waitForFunction((line) => {
    const pieces = [...document.querySelectorAll(".prompt .log span")];
    return pieces.some((piece) => piece.className === "typed" && piece.textContent.includes(line));
  }, line);
  return tab.locator(".prompt .log").innerText();
}

const shown = (tab) => tab.evaluate(() => {
  const { store } = window.irqlab;
  const { run, record } = store;
  return { record, length: run.length, name: run.name(record), lines: run.data.commands.map((it) => it.line) };
});

export const served = {
  async "serve: the token leaves the address, and the boot is shown"(bench) {
    return serving(bench, async (tab, address) => {
      assert.match(address, /\?token=[0-9a-f]{64}$/);
      assert.doesNotMatch(tab.url(), /token/);
      const { record, length, lines } = await shown(tab);
      assert.ok(length > 5000 && record === length - 1, `${record} of ${length}`);
      assert.deepEqual(lines, []);
      await tab.evaluate(axe);
      const found = await tab.evaluate(() => window.axe.run(document, { resultTypes: ["violations"] }));
      const serious = found.violations.filter((it) => ["serious", "critical"].includes(it.impact));
      assert.deepEqual(serious.map((it) => `${it.id}: ${it.nodes[0].html.slice(0, 160)}`), []);
      return `${length} records`;
    });
  },

  async "serve: a breakpoint stops, and the page stands there"(bench) {
    return serving(bench, async (tab) => {
      await type(tab, ":break vector_alloc_managed if irq == 29");
      const log = await type(tab, RESET);
      assert.match(log, /breakpoint 1: step \d+:\d+/);
      await tab.waitForFunction(() => window.irqlab.store.run.data.commands.length === 1);
      let at = await shown(tab);
      assert.equal(at.name, "vector_alloc_managed");
      assert.deepEqual(at.lines, [RESET]);
      assert.match(await tab.locator(".prompt .grow").innerText(), /in the middle of a command/);
      await type(tab, ":continue");
      await tab.waitForFunction(() => !document.querySelector(".prompt .grow").textContent.includes("middle"));
      at = await shown(tab);
      assert.equal(at.record, at.length - 1);
      assert.match(await type(tab, "cat /proc/irq/29/smp_affinity_list"), /\n4\n/);
      // A mistake, a loop over several lines, and what was typed before.
      assert.match(await type(tab, "foo"), /no command `foo`/);
      await type(tab, "for i in 1 2; do");
      await type(tab, "echo number $i");
      assert.match(await type(tab, "done"), /number 1\nnumber 2/);
      const input = tab.getByRole("textbox", { name: "Command" });
      await input.press("ArrowUp");
      assert.equal(await input.inputValue(), "done");
      return at.length;
    });
  },

  async "serve: what never ends is stopped"(bench) {
    return serving(bench, async (tab) => {
      const words = Array.from({ length: 99 }, (_, n) => n).join(" ");
      const input = tab.getByRole("textbox", { name: "Command" });
      await input.fill(`for a in ${words}; do for b in ${words}; do for c in ${words}; do sleep 1; done; done; done`);
      await input.press("Enter");
      await tab.getByRole("button", { name: "stop" }).click();
      await tab.waitForFunction(() => document.querySelector(".prompt .log").textContent.includes("interrupted at step"));
      return undefined;
    });
  },

  async "serve: a mistake in a script is marked where it is, and the script runs when it is right"(bench) {
    return serving(bench, async (tab) => {
      await tab.getByRole("tab", { name: "script" }).click();
      const text = tab.getByRole("textbox", { name: "Script" });
      await text.fill("echo begin\nrm /tmp/x\n");
      await tab.waitForFunction(() => document.querySelector(".editor mark") !== null);
      assert.equal(await tab.locator(".editor mark").textContent(), "rm");
      assert.match(await tab.locator(".editor .mistake").innerText(), /^line 2, column 1: no command `rm`/);
      assert.equal(await text.getAttribute("aria-invalid"), "true");
      const overlaid = await tab.evaluate(() => {
        const [mark, area] = [".editor mark", ".editor textarea"].map((it) => document.querySelector(it).getBoundingClientRect());
        return mark.top - area.top;
      });
      assert.ok(overlaid > 15 && overlaid < 30, `the mark is in the second line: ${overlaid}`);
      await text.fill("echo 0 > /sys/devices/system/cpu/cpu4/online\necho it is off\n");
      await tab.waitForFunction(() => document.querySelector(".editor mark") === null);
      await tab.getByRole("button", { name: /^run on a machine/ }).click();
      await tab.waitForFunction(() => document.querySelector(".prompt .log")?.textContent.includes("it is off\n"));
      await tab.waitForFunction(() => window.irqlab.store.run.data.commands.length === 2);
      assert.equal((await shown(tab)).lines[0], "echo 0 > /sys/devices/system/cpu/cpu4/online");
      return undefined;
    });
  },

  async "serve: kernels, behaviours and exhibits can be opened"(bench) {
    return serving(bench, async (tab) => {
      await tab.getByRole("tab", { name: "open" }).click();
      await tab.getByLabel("Kernel", { exact: true }).selectOption("v6.12");
      await tab.locator("summary").click();
      await tab.getByLabel("vector_cleanup", { exact: true }).selectOption("ipi");
      await tab.getByRole("button", { name: "open", exact: true }).click();
      await tab.waitForFunction(() => window.irqlab.store.run.data.kernel === "v6.12");
      assert.deepEqual(await tab.evaluate(() => window.irqlab.store.run.data.set), ["vector_cleanup=ipi"]);
      await tab.getByRole("tab", { name: "open" }).click();
      await tab.getByLabel("What to open").selectOption("exhibit:M03");
      await tab.getByRole("button", { name: "open", exact: true }).click();
      await tab.waitForFunction(() => document.querySelector(".editor textarea")?.value.includes("#: assert"));
      return undefined;
    });
  },

  async "serve: a recording is saved byte by byte"(bench) {
    return serving(bench, async (tab) => {
      await type(tab, "echo 0 > /sys/devices/system/cpu/cpu3/online");
      const [download] = await Promise.all([tab.waitForEvent("download"), type(tab, ":export run.pftrace")]);
      assert.equal(download.suggestedFilename(), "run.pftrace");
      const saved = readFileSync(await download.path());
      // The first packet of a trace: field 1, with a length.
      assert.equal(saved[0], 0x0a);
      assert.ok(saved.length > 1000, `${saved.length} bytes`);
      return `${saved.length} bytes`;
    });
  },

  async "serve: what cannot be shared is answered with a sentence"(bench) {
    return serving(bench, async (tab) => {
      const error = { message: "the run is too long for a page", help: "expected a session with less in it", place: null };
      await tab.route("**/api/share*", (route) => route.fulfill({ status: 413, json: { error } }));
      await tab.getByRole("button", { name: "share as a file" }).click();
      await tab.waitForFunction(() => document.querySelector(".prompt .log .failed")?.textContent.includes("too long for a page"));
      return undefined;
    }, { says: ["error: Failed to load resource: the server responded with a status of 413"] });
  },

  async "serve: what is shared is what `irqlab page` writes"(bench) {
    const folder = mkdtempSync(join(tmpdir(), "served-"));
    try {
      return await serving(bench, async (tab) => {
        const line = "echo 0 > /sys/devices/system/cpu/cpu3/online";
        await type(tab, line);
        await tab.waitForFunction(() => window.irqlab.store.run.data.commands.length === 1);
        const [download] = await Promise.all([
          tab.waitForEvent("download"),
          tab.getByRole("button", { name: "share as a file" }).click(),
        ]);
        await download.saveAs(join(folder, "shared.html"));
        writeFileSync(join(folder, "script.sh"), `${line}\n`);
        const args = ["page", "--script", join(folder, "script.sh"), "-o", join(folder, "page.html")];
        execFileSync(bench.irqlab, args, { stdio: ["ignore", "ignore", "inherit"] });
        const [shared, written] = ["shared.html", "page.html"].map((name) => readFileSync(join(folder, name)));
        assert.ok(shared.equals(written), `${shared.length} and ${written.length} bytes`);
        return `${Math.ceil(shared.length / 1000)} kB`;
      });
    } finally {
      rmSync(folder, { recursive: true });
    }
  },
};
