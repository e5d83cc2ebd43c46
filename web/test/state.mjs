// Compares the state that the page shows with what the machine's own files say at 200 records.
import assert from "node:assert/strict";

/** The words behind a label in a file of debugfs. */
function after(text, label) {
  const line = text.split("\n").find((it) => it.trim().startsWith(label));
  return line === undefined ? null : line.trim().slice(label.length).trim();
}

/** CPUs as a list, of a list as debugfs has it. */
function list(text) {
  return text === null || text === "" ? "–" : text;
}

/** What the page has in the table of fields. */
async function fields(tab) {
  return tab.evaluate(() => {
    const rows = [...document.querySelectorAll("#panel .fields tr")];
    const now = (cell) => {
      const copy = cell.cloneNode(true);
      for (const old of copy.querySelectorAll("s, .hidden, [aria-hidden]")) old.remove();
      return copy.textContent.trim();
    };
    const flags = [...document.querySelectorAll("#panel .flags li:not(.cleared)")].map((it) => it.textContent.replace(/^\+/, ""));
    const levels = [...document.querySelectorAll("#panel .levels li")].map(now);
    return { fields: Object.fromEntries(rows.map((row) => [row.cells[0].textContent, now(row.cells[1])])), flags, levels };
  });
}

export async function stateIsWhatTheMachineSays({ page, open, witness }) {
  const { file } = page("state");
  const { tab, said, close } = await open(file);
  // More are drawn than are compared, since some are drawn twice.
  const records = witness("16", "210").slice(0, 200);
  assert.equal(records.length, 200);
  let compared = 0;
  for (const { record, of, texts } of records) {
    assert.equal(await tab.evaluate(() => window.irqlab.store.run.length), of);
    const irqs = Object.keys(texts).filter((name) => name.startsWith("/sys/kernel/debug/irq/irqs/")).map((name) => Number(name.split("/").pop()));
    const devices = irqs.filter((irq) => irq >= 16);
    // One interrupt of the board and one of a device, another pair at each record.
    for (const irq of [irqs[record % irqs.length], devices[record % Math.max(1, devices.length)]]) {
      if (irq === undefined) continue;
      await tab.evaluate(([to, n]) => {
        window.irqlab.store.go(to);
        window.irqlab.store.set({ irq: n, tab: "interrupt" });
        return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
      }, [record, irq]);
      const shown = await fields(tab);
      const text = texts[`/sys/kernel/debug/irq/irqs/${irq}`];
      const where = `irq ${irq} at record ${record}\n${text}\n${JSON.stringify(shown)}`;
      const is = (label, value) => assert.equal(shown.fields[label] ?? "–", value, `${label} of ${where}`);
      is("affinity", list(after(text, "affinity:")));
      is("effective", list(after(text, "effectiv:")));
      is("flow handler", after(text, "handler:"));
      is("disable depth", after(text, "ddepth:"));
      const flags = text.match(/\b(IRQD_\w+|IRQS_\w+|_IRQ_\w+|IRQ_TYPE_\w+)\b/g) ?? [];
      assert.deepEqual([...shown.flags].sort(), [...new Set(flags)].sort(), where);
      // A level may be in no domain yet.
      const levels = [...text.matchAll(/domain:[ \t]*(\S*)\n\s*hwirq:\s*(\S+)\n\s*chip:\s*(\S+)/g)];
      assert.equal(shown.levels.length, levels.length, where);
      levels.forEach(([, domain, hwirq, chip], i) => {
        assert.equal(shown.levels[i].replace("└ ", ""), `${domain || "no domain"} ${hwirq} ${chip}`, where);
      });
      const vector = after(text, "Vector:");
      if (vector !== null) {
        is("vector", vector === "0" ? "–" : vector);
        if (vector !== "0") is("on CPU", after(text, "Target:"));
        is("move in progress", after(text, "move_in_progress:"));
        is("managed", after(text, "is_managed:"));
        is("reserved", after(text, "has_reserved:"));
        is("can reserve", after(text, "can_reserve:"));
      }
      const row = texts["/proc/interrupts"].split("\n").find((line) => line.trim().startsWith(`${irq}:`));
      if (row) {
        const counts = row.trim().split(/\s+/).slice(1);
        for (const [label, value] of Object.entries(shown.fields)) {
          const cpu = /^count on CPU (\d+)$/.exec(label);
          // Columns are those of the CPUs that are online.
          if (cpu && texts["/proc/interrupts"].includes(`CPU${cpu[1]} `)) {
            const column = texts["/proc/interrupts"].split("\n")[0].trim().split(/\s+/).indexOf(`CPU${cpu[1]}`);
            assert.equal(value === "–" ? "0" : value, counts[column], `${label}, ${where}`);
          }
        }
      }
      compared++;
    }
    await matrix(tab, record, texts);
    await apics(tab, record, texts);
  }
  assert.deepEqual(said, []);
  await close();
  return `${records.length} records, ${compared} interrupts`;
}

/** Counts and maps of each CPU. */
async function matrix(tab, record, texts) {
  const file = texts["/sys/kernel/debug/irq/domains/VECTOR"];
  if (!file) return;
  const shown = await tab.evaluate(() => {
    const { store } = window.irqlab;
    const { state } = store.run;
    const at = (thing, field) => state.get(thing, field, store.record);
    return state.all("cpu").map((cpu) => ({
      cpu: Number(cpu.name),
      counts: [at(cpu, "available"), at(cpu, "managed"), at(cpu, "managed_allocated"), at(cpu, "allocated")],
      vectors: [...cpu.places].filter(([field, place]) => field.startsWith("vector/") && /^[AM]/.test(state.at(place, store.record) ?? "")).map(([field]) => Number(field.slice(7))).sort((a, b) => a - b),
    }));
  });
  const system = await tab.evaluate(() => window.irqlab.store.run.state.get(window.irqlab.store.run.state.thing("matrix", ""), "system", window.irqlab.store.record));
  for (const line of file.split("\n").slice(file.split("\n").findIndex((it) => it.includes("CPU")) + 1)) {
    const words = line.trim().split(/\s+/);
    if (!/^\d+$/.test(words[0] ?? "")) continue;
    const cpu = shown.find((it) => it.cpu === Number(words[0]));
    assert.ok(cpu, `CPU ${words[0]} at record ${record}`);
    assert.deepEqual(cpu.counts.map(String), words.slice(1, 5), `counts of CPU ${words[0]} at record ${record}`);
    const numbers = expand(words[5] ?? "").filter((n) => !String(system ?? "").split(" ").includes(String(n)));
    assert.deepEqual(cpu.vectors.filter((n) => !String(system ?? "").split(" ").includes(String(n))), numbers, `vectors of CPU ${words[0]} at record ${record}`);
  }
}

function expand(text) {
  return text.split(",").filter(Boolean).flatMap((range) => {
    const [from, to] = range.split("-").map(Number);
    return Array.from({ length: (to ?? from) - from + 1 }, (_, i) => from + i);
  });
}

/** IRR and ISR of each local APIC, as the panel has them, and the MSI-X tables. */
async function apics(tab, record, texts) {
  await tab.evaluate(() => {
    window.irqlab.store.set({ tab: "apic" });
    return new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
  });
  const rows = await tab.evaluate(() =>
    [...document.querySelectorAll("#panel .line:not(.head)")].map((line) =>
      [...line.children].map((cell) => {
        const copy = cell.cloneNode(true);
        for (const old of copy.querySelectorAll("s, .hidden, [aria-hidden], .jumps")) old.remove();
        return copy.textContent.trim();
      }),
    ),
  );
  for (const [cpu, irr, isr] of rows) {
    const said = (name) => (texts[`${name}/${cpu}`].match(/\d+(-\d+)?/g) ?? []).flatMap((range) => expand(range)).join(" ") || "–";
    assert.equal(irr, said("irr"), `IRR of CPU ${cpu} at record ${record}`);
    assert.equal(isr, said("isr"), `ISR of CPU ${cpu} at record ${record}`);
  }
  const table = await tab.evaluate(() => {
    const { store } = window.irqlab;
    const { state } = store.run;
    const device = state.all("device").find((thing) => thing.places.has("msix"));
    if (!device) return null;
    const rows = [];
    for (let n = 0; device.places.has(`msix_data/${n}`); n++) rows.push(`${state.get(device, `msix_address/${n}`, store.record)} ${state.get(device, `msix_data/${n}`, store.record)}`);
    return rows.join("\n");
  });
  if (table !== null && texts["msix/0"]) assert.equal(table, texts["msix/0"], `MSI-X table at record ${record}`);
}
