// What is true at the cursor.

import type { JSX, TargetedKeyboardEvent } from "preact";
import { Apics } from "./apics";
import { Domains } from "./domains";
import { Interrupt } from "./interrupt";
import { Interrupts } from "./interrupts";
import { Matrix } from "./matrix";
import { Messages } from "./messages";
import { Queues } from "./queues";
import { shown } from "./run";
import { Store, type Tab, TABS, useStore } from "./store";
import { called, Jumps } from "./value";

const PANELS: Record<Tab, (props: { store: Store }) => JSX.Element> = {
  interrupt: Interrupt,
  interrupts: Interrupts,
  vectors: Matrix,
  apic: Apics,
  messages: Messages,
  domains: Domains,
  queues: Queues,
};

const MOST = 40;

/** What changed at the record. */
function Changes({ store }: { store: Store }): JSX.Element {
  const { run, record } = store;
  const all = run.state.changes(record);
  return (
    <div class="changes" role="region" aria-label="What changed at this record" tabIndex={0}>
      {all.length === 0 && <span class="muted">Nothing of the state changed at this record.</span>}
      {all.slice(0, MOST).map(({ place, old, now }) => {
        const { thing, field } = run.state.owner(place);
        return (
          <div key={place} class="change">
            <button class="link" onClick={() => show(store, thing.kind, thing.name)}>{called(store, thing)}</button>
            <span class="field">{field}</span>
            <s>{shown(old)}</s> → <b>{shown(now)}</b>
            <Jumps store={store} place={place} name={`${field} of ${called(store, thing)}`} />
          </div>
        );
      })}
      {all.length > MOST && <span class="muted">and {all.length - MOST} more</span>}
    </div>
  );
}

/** Shows the panel in which something is. */
function show(store: Store, kind: string, name: string): void {
  if (kind === "irq") store.set({ irq: Number(name), tab: "interrupt" });
  else if (kind === "cpu") store.set({ tab: store.view.tab === "apic" ? "apic" : "vectors" });
  else if (kind === "domain") store.set({ tab: "domains" });
  else if (kind === "queue" || kind === "nvme_queue") store.set({ tab: "queues" });
  else if (kind === "matrix") store.set({ tab: "vectors" });
  else store.set({ tab: "messages" });
}

export function State({ store }: { store: Store }): JSX.Element {
  const view = useStore(store);
  const Panel = PANELS[view.tab];
  const keys = (event: TargetedKeyboardEvent<HTMLDivElement>) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (step === 0) return;
    event.preventDefault();
    event.stopPropagation();
    const tab = TABS[(TABS.indexOf(view.tab) + step + TABS.length) % TABS.length];
    store.set({ tab });
    document.getElementById(`tab-${tab}`)?.focus();
  };
  return (
    <section class="state" aria-label="State">
      <h2>
        State at record {store.record}
        {store.runs.length > 1 && (
          <span class="tools" role="group" aria-label="Kernel">
            {store.runs.map((run, side) => (
              <button key={side} aria-pressed={side === view.side} onClick={() => store.go(view.record[side], side)}>
                {run.data.kernel}
              </button>
            ))}
          </span>
        )}
      </h2>
      <Changes store={store} />
      <div class="tabs" role="tablist" aria-label="Parts of the state" onKeyDown={keys}>
        {TABS.map((tab) => (
          <button
            key={tab}
            id={`tab-${tab}`}
            role="tab"
            aria-selected={tab === view.tab}
            aria-controls="panel"
            tabIndex={tab === view.tab ? 0 : -1}
            onClick={() => store.set({ tab })}
          >
            {tab === "apic" ? "APIC" : tab}
          </button>
        ))}
      </div>
      <div id="panel" class="panel" role="tabpanel" aria-labelledby={`tab-${view.tab}`} tabIndex={0}>
        <Panel store={store} />
      </div>
    </section>
  );
}
