// Bands over the lanes: the parts of a run, found by the functions that they are the work of.

import { ENTER, Run } from "./run";

export interface Phase {
  label: string;
  from: number;
  to: number;
}

/** A function, and what its work is called. Those further up are around those further down. */
const PHASES: [RegExp, string][] = [
  [/^pci_alloc_irq_vectors_affinity$/, "phase one: pci_alloc_irq_vectors_affinity()"],
  [/^(pci_request_irq|request_threaded_irq)$/, "phase two: request_irq()"],
  [/^(pci_free_irq_vectors|pci_disable_msix?)$/, "vectors are given back"],
  [/^_?cpu_down$/, "a CPU goes"],
  [/^_?cpu_up$/, "a CPU comes"],
  [/^irq_affinity_(list_)?proc_write$|^write_irq_affinity$/, "an affinity is written"],
];

/** The phases of a run; those of one kind that follow each other closely are one. */
export function phases(run: Run): Phase[] {
  const label = run.data.of.map((of) =>
    of.is === "enter" ? (PHASES.find(([name]) => name.test(of.name))?.[1] ?? null) : null,
  );
  const found: Phase[] = [];
  const close = Math.max(200, run.length / 100);
  let until = -1;
  for (let i = 0; i < run.length; i++) {
    if (run.kind[i] !== ENTER) continue;
    const name = label[run.of[i]];
    if (name === null || i < until) continue;
    const end = Math.min(run.end[i], run.length - 1);
    const last = found[found.length - 1];
    if (last && last.label === name && i - last.to < close) last.to = end;
    else found.push({ label: name, from: i, to: end });
    // CPU hotplug has none of the others' phases in it.
    if (name.startsWith("a CPU")) until = end;
  }
  return found;
}
