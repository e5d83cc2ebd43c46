// The keys.

import type { JSX } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Store } from "./store";

const KEYS: [string, string][] = [
  ["← →", "a record back, a record on"],
  ["Shift ← →", "a call back, a call on: over what it calls"],
  ["Ctrl ← →", "a step: to where another stack goes on"],
  ["Home End", "to the beginning, to the end"],
  ["[ ]", "to the last change of the chosen interrupt, to the next one"],
  ["/", "search"],
  ["+ −", "zoom the lanes; 0 shows the whole run"],
  ["b", "show only what is explained"],
  ["t", "logical or virtual time"],
  ["1 … 7", "interrupt, interrupts, vectors, APIC, messages, domains, queues"],
  ["d", "dark, light, or as the system has it"],
  ["?", "this"],
  ["Escape", "close"],
];

export function Help({ store }: { store: Store }): JSX.Element {
  const close = useRef<HTMLButtonElement>(null);
  useEffect(() => close.current?.focus(), []);
  return (
    <dialog class="help" open aria-label="Help">
      <h2>Keys</h2>
      <table>
        <tbody>
          {KEYS.map(([key, text]) => (
            <tr key={key}><th scope="row"><kbd>{key}</kbd></th><td>{text}</td></tr>
          ))}
        </tbody>
      </table>
      <h2>Signs</h2>
      <p>ƒ or ▾ a call, ↵ a return, • a tracepoint, ◆ hardware, ! a warning. Δ: so many values of the state change here.</p>
      <p>
        Vectors: <b>S</b> the system's, <b>A</b> allocated, <b>m</b> kept for a managed interrupt, <b>M</b> kept and allocated,
        <b> v</b> only in <code>vector_irq</code>, <b>x</b> shut down. A dot is free; columns that are free throughout are folded.
      </p>
      <p>
        The state is the one right after the record. Records have no duration: logical time counts them, virtual time is the
        machine's clock, which stands still while kernel code runs.
      </p>
      <button ref={close} onClick={() => store.set({ dialog: null })}>Close</button>
    </dialog>
  );
}
