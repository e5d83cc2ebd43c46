// The local APICs.

import type { JSX } from "preact";
import { Store } from "./store";
import { Jumps, Value } from "./value";
import { Window } from "./window";

export function Apics({ store }: { store: Store }): JSX.Element {
  const { run, record } = store;
  const { state } = run;
  const all = state.all("cpu").filter((thing) => thing.places.has("apic_id")).sort((a, b) => Number(a.name) - Number(b.name));
  const touched = new Set(state.changes(record).map((change) => state.owner(change.place).thing));
  const here = run.context[record] < 0 ? Number(run.value(record, "cpu") ?? -1) : run.cpu[record];
  return (
    <Window
      count={all.length}
      height={22}
      at={all.findIndex((thing) => Number(thing.name) === here)}
      moved={here}
      label="Local APICs"
      role="list"
      class="list apics"
      head={<div class="line head"><span>CPU</span><span>IRR</span><span>ISR</span><span>TMR</span><span>TPR</span><span>mode, id</span><span>hotplug</span></div>}
      row={(i) => {
        const thing = all[i];
        const at = (field: string) => <Value store={store} place={thing.places.get(field)} />;
        const jump = (field: string) => <Jumps store={store} place={thing.places.get(field)} name={`${field} of CPU ${thing.name}`} />;
        return (
          <div key={thing.name} role="listitem" class={`line${touched.has(thing) ? " touched" : ""}${Number(thing.name) === here ? " here" : ""}`}>
            <span>{thing.name}</span><span>{at("irr")}{jump("irr")}</span><span>{at("isr")}{jump("isr")}</span><span>{at("tmr")}</span>
            <span>{at("tpr")}</span><span>{at("apic_mode")} {at("apic_id")}</span>
            <span>{at("state")}{jump("state")}</span>
          </div>
        );
      }}
    />
  );
}
