// A value of the state: what it is, what it was, and the ways to its changes.

import type { JSX } from "preact";
import { shown, type Thing } from "./run";
import type { Cell } from "./schema";
import { Store } from "./store";

/** The value of a place, marked where it changed at the record. */
export function Value({ store, place, hex = false }: { store: Store; place: number | undefined; hex?: boolean }): JSX.Element {
  const { run, record } = store;
  const say = (value: Cell) => (hex && typeof value === "number" ? `0x${value.toString(16)}` : shown(value));
  if (place === undefined) return <span class="value muted">–</span>;
  const value = run.state.at(place, record);
  const last = run.state.last(place, record);
  const here = last?.record === record;
  return (
    <span class={here ? "value changed" : "value"}>
      {here && <><s title="before">{say(last.old)}</s> <span aria-hidden="true">→</span><span class="hidden"> is now </span> </>}
      {say(value)}
    </span>
  );
}

/** To the last change of a place, and to the next one. */
export function Jumps({ store, place, name }: { store: Store; place: number | undefined; name: string }): JSX.Element | null {
  const { run, record } = store;
  if (place === undefined) return null;
  const last = run.state.last(place, record);
  const before = last?.record === record ? run.state.last(place, record - 1) : last;
  const next = run.state.next(place, record);
  return (
    <span class="jumps">
      <button
        aria-label={`back to the last change of ${name}`}
        title={before ? `last change at record ${before.record}: ${shown(before.old)} → ${shown(before.now)}` : "no change before"}
        disabled={!before}
        onClick={() => before && store.go(before.record)}
      >
        ◁
      </button>
      <button
        aria-label={`next change of ${name}`}
        title={next ? `next change at record ${next.record}: ${shown(next.old)} → ${shown(next.now)}` : "no change to come"}
        disabled={!next}
        onClick={() => next && store.go(next.record)}
      >
        ▷
      </button>
    </span>
  );
}

/** The value that the other run has where its own cursor stands. */
function Other({ store, thing, field }: { store: Store; thing: Thing; field: string }): JSX.Element | null {
  const other = 1 - store.view.side;
  const run = store.runs[other];
  if (!run) return null;
  const value = run.state.get(run.state.thing(thing.kind, thing.name), field, store.view.record[other]);
  const own = store.run.state.get(thing, field, store.record);
  return (
    <td class={`other${value === own ? "" : " differs"}`} title={`${run.data.kernel}, record ${store.view.record[other]}`}>
      {value === own ? "=" : `≠ ${shown(value)}`}
      <span class="hidden"> on {run.data.kernel}</span>
    </td>
  );
}

/** A line of a table of fields. */
export function Field({ store, thing, field, label, note }: { store: Store; thing: Thing; field: string; label: string; note?: string }): JSX.Element | null {
  const place = thing.places.get(field);
  if (place === undefined) return null;
  const name = `${label} of ${thing.kind} ${thing.name}`;
  return (
    <tr>
      <th scope="row" title={note}>{label}</th>
      <td><Value store={store} place={place} /></td>
      <Other store={store} thing={thing} field={field} />
      <td><Jumps store={store} place={place} name={name} /></td>
    </tr>
  );
}

/** The name of something of the machine, as people say it. */
export function called(store: Store, thing: Thing, record = store.record): string {
  const { state } = store.run;
  const name = state.get(thing, "name", record);
  switch (thing.kind) {
    case "irq": return `irq ${thing.name}${name === null ? "" : ` ${name}`}`;
    case "cpu": return `CPU ${thing.name}`;
    case "matrix": return "matrix";
    case "ioapic": return "IO-APIC";
    case "dmar": return "remapping";
    case "device": return name === null ? thing.name : String(name);
    case "domain": return `domain ${name ?? thing.name}`;
    case "queue": return `${state.get(thing, "disk", record) ?? "queue"} queue ${thing.name.split("/")[1]}`;
    case "nvme_queue": return String(name ?? `queue ${thing.name}`);
    default: return `${thing.kind} ${thing.name}`;
  }
}
