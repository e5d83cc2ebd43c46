// Messages: the MSI-X tables, MSI, the pins of the IO-APIC, the remapping table.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Thing } from "./run";
import { Store } from "./store";
import { called, Field, Jumps, Value } from "./value";
import { Window } from "./window";

export function Messages({ store }: { store: Store }): JSX.Element {
  const { run, record, irq } = store;
  const { state } = run;
  const devices = state.all("device").filter((thing) => thing.places.has("msix") || thing.places.has("msi"));
  const tables = [...devices, ...state.all("ioapic"), ...state.all("dmar")];
  const own = state.get(irq === null ? undefined : state.thing("irq", irq), "device", record);
  const [chosen, choose] = useState<string | null>(null);
  const thing = tables.find((it) => key(it) === chosen) ?? tables.find((it) => it.name === own) ?? tables[0];
  if (!thing) return <p class="muted">There is nothing that sends messages yet.</p>;
  return (
    <>
      <div class="choose">
        <label>
          table{" "}
          <select value={key(thing)} onChange={(event) => choose(event.currentTarget.value)}>
            {tables.map((it) => <option key={key(it)} value={key(it)}>{called(store, it)} {it.name}</option>)}
          </select>
        </label>
      </div>
      {thing.kind === "device" ? <Device store={store} thing={thing} /> : <Words store={store} thing={thing} />}
    </>
  );
}

const key = (thing: Thing): string => `${thing.kind} ${thing.name}`;

function Device({ store, thing }: { store: Store; thing: Thing }): JSX.Element {
  const { run, record, irq } = store;
  const { state } = run;
  const entries = [...thing.places.keys()].filter((field) => field.startsWith("msix_data/")).map((field) => Number(field.slice(10))).sort((a, b) => a - b);
  const irqOf = new Map<number, number>();
  for (const it of state.all("irq")) {
    if (state.get(it, "device", record) === thing.name) irqOf.set(Number(state.get(it, "entry", record)), Number(it.name));
  }
  return (
    <>
      <table class="fields">
        <tbody>
          <Field store={store} thing={thing} field="driver" label="driver" />
          <Field store={store} thing={thing} field="msix" label="MSI-X enabled" />
          <Field store={store} thing={thing} field="msix_function_mask" label="function mask" />
          <Field store={store} thing={thing} field="msi" label="MSI enabled" />
          <Field store={store} thing={thing} field="msi_address" label="MSI address" />
          <Field store={store} thing={thing} field="msi_data" label="MSI data" />
          <Field store={store} thing={thing} field="msi_mask" label="MSI mask bits" />
        </tbody>
      </table>
      <Window
        count={entries.length}
        height={22}
        at={entries.findIndex((entry) => irqOf.get(entry) === irq)}
        moved={irq}
        label="MSI-X table"
        role="list"
        class="list msix"
        head={<div class="line head"><span>entry</span><span>address</span><span>data</span><span>masked</span><span>pending</span><span>irq</span><span /></div>}
        row={(i) => {
          const entry = entries[i];
          const at = (field: string) => <Value store={store} place={thing.places.get(`msix_${field}/${entry}`)} />;
          const to = irqOf.get(entry);
          return (
            <div
              key={entry}
              role="listitem"
              aria-current={to !== undefined && to === irq}
              class={`line${to !== undefined && to === irq ? " here" : ""}`}
              onClick={() => to !== undefined && store.set({ irq: to })}
            >
              <span>{entry}</span><span>{at("address")}</span><span>{at("data")}</span><span>{at("masked")}</span><span>{at("pending")}</span>
              <span>{to ?? ""}</span>
              <Jumps store={store} place={thing.places.get(`msix_data/${entry}`)} name={`data of entry ${entry}`} />
            </div>
          );
        }}
      />
    </>
  );
}

/** A table whose entries are words: pins of the IO-APIC, the remapping table. */
function Words({ store, thing }: { store: Store; thing: Thing }): JSX.Element {
  const fields = [...thing.places.keys()].sort((a, b) => Number(a.split("/")[1]) - Number(b.split("/")[1]));
  return (
    <Window
      count={fields.length}
      height={22}
      at={0}
      moved={thing}
      label={thing.kind === "ioapic" ? "Pins" : "Remapping table"}
      role="list"
      class="list words"
      row={(i) => (
        <div key={fields[i]} role="listitem" class="line">
          <span>{fields[i].replace("/", " ")}</span>
          <span><Value store={store} place={thing.places.get(fields[i])} /></span>
          <Jumps store={store} place={thing.places.get(fields[i])} name={fields[i].replace("/", " ")} />
        </div>
      )}
    />
  );
}
