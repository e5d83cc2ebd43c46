// Queues and their CPUs.

import type { JSX } from "preact";
import type { Thing } from "./run";
import type { Cell } from "./schema";
import { Store } from "./store";
import { called, Jumps, Value } from "./value";
import { Window } from "./window";

function order(a: Thing, b: Thing): number {
  const [x, y] = [a, b].map((thing) => thing.name.split("/").map(Number));
  return x[0] - y[0] || x[1] - y[1];
}

export function Queues({ store }: { store: Store }): JSX.Element {
  const { run, record, irq } = store;
  const { state } = run;
  const disks = state.all("queue").filter((thing) => state.get(thing, "disk", record) !== null).sort(order);
  const nvme = state.all("nvme_queue").filter((thing) => state.get(thing, "name", record) !== null).sort(order);
  const named = new Map<Cell, number>(state.all("irq").map((thing) => [state.get(thing, "name", record), Number(thing.name)]));
  const own = nvme.findIndex((thing) => irq !== null && named.get(state.get(thing, "name", record)) === irq);
  return (
    <>
      <h3>Hardware queues of disks</h3>
      {disks.length === 0 && <p class="muted">There is no disk yet.</p>}
      {disks.length > 0 && (
        <Window
          count={disks.length}
          height={22}
          at={0}
          moved={null}
          label="Hardware queues of disks"
          role="list"
          class="list queues"
          head={<div class="line head"><span>queue</span><span>CPUs</span><span>kind</span><span>inactive</span><span /></div>}
          row={(i) => {
            const thing = disks[i];
            const at = (field: string) => <Value store={store} place={thing.places.get(field)} />;
            return (
              <div key={thing.name} role="listitem" class="line">
                <span>{called(store, thing)}</span><span>{at("cpus")}</span><span>{at("kind")}</span><span>{at("inactive")}</span>
                <Jumps store={store} place={thing.places.get("cpus")} name={`CPUs of ${called(store, thing)}`} />
              </div>
            );
          }}
        />
      )}
      <h3>Queues of NVMe controllers</h3>
      {nvme.length === 0 && <p class="muted">There is no queue yet.</p>}
      {nvme.length > 0 && (
        <Window
          count={nvme.length}
          height={22}
          at={own}
          moved={irq}
          label="Queues of NVMe controllers"
          role="listbox"
          class="list nvme"
          head={<div class="line head"><span>queue</span><span>MSI-X entry</span><span>irq</span><span>enabled</span><span>tail</span><span>head</span></div>}
          row={(i) => {
            const thing = nvme[i];
            const at = (field: string) => <Value store={store} place={thing.places.get(field)} />;
            const to = named.get(state.get(thing, "name", record));
            return (
              <div
                key={thing.name}
                role="option"
                aria-selected={i === own}
                class={`line${i === own ? " here" : ""}`}
                onClick={() => to !== undefined && store.set({ irq: to })}
              >
                <span>{called(store, thing)}</span><span>{at("entry")}</span><span>{to ?? "–"}</span><span>{at("enabled")}</span>
                <span>{at("sq_tail")}</span><span>{at("cq_head")}</span>
              </div>
            );
          }}
        />
      )}
    </>
  );
}
