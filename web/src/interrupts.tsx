// All interrupts.

import type { JSX } from "preact";
import { shown } from "./run";
import { Store } from "./store";
import { Value } from "./value";
import { Window } from "./window";

export function Interrupts({ store }: { store: Store }): JSX.Element {
  const { run, record, irq } = store;
  const { state } = run;
  const all = state
    .all("irq")
    .filter((thing) => state.get(thing, "chip/0", record) !== null)
    .sort((a, b) => Number(a.name) - Number(b.name));
  const touched = new Set(state.changes(record).map((change) => state.owner(change.place).thing));
  return (
    <Window
      count={all.length}
      height={22}
      at={all.findIndex((thing) => Number(thing.name) === irq)}
      moved={irq}
      label="Interrupts"
      role="listbox"
      class="list"
      head={<div class="line head"><span>irq</span><span>name</span><span>affinity</span><span>effective</span><span>vector</span><span>flags</span></div>}
      row={(i) => {
        const thing = all[i];
        const at = (field: string) => <Value store={store} place={thing.places.get(field)} />;
        const flags = shown(state.get(thing, "flags", record)).split(" ");
        const short = [
          flags.includes("IRQD_AFFINITY_MANAGED") ? "managed" : "",
          flags.includes("IRQD_MANAGED_SHUTDOWN") ? "shut down" : "",
          flags.includes("IRQD_IRQ_STARTED") ? "started" : "",
          flags.includes("IRQD_IRQ_MASKED") ? "masked" : "",
        ].filter(Boolean);
        return (
          <div
            key={thing.name}
            role="option"
            aria-selected={Number(thing.name) === irq}
            class={`line${touched.has(thing) ? " touched" : ""}${Number(thing.name) === irq ? " here" : ""}`}
            title={flags.join(" ")}
            onClick={() => store.set({ irq: Number(thing.name) })}
          >
            <span>{thing.name}</span><span>{at("name")}</span><span>{at("affinity")}</span><span>{at("effective")}</span>
            <span>{at("vector")}{state.get(thing, "vector", record) === null ? "" : ` on ${shown(state.get(thing, "cpu", record))}`}</span>
            <span>{short.join(", ")}</span>
          </div>
        );
      }}
    />
  );
}
