// The chosen interrupt.

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import { shown } from "./run";
import { Store } from "./store";
import { Field, Jumps, Value } from "./value";

const FIELDS: [string, string, string][] = [
  ["name", "name", "the actions' names, as in /proc/interrupts"],
  ["affinity", "affinity", "the CPUs that were asked for"],
  ["effective", "effective", "the CPU that it goes to"],
  ["pending", "pending", "an affinity that waits for the next interrupt"],
  ["vector", "vector", "of apic_chip_data"],
  ["cpu", "on CPU", "of apic_chip_data"],
  ["prev_vector", "old vector", "the vector before the last move"],
  ["prev_cpu", "on CPU (old)", "the CPU before the last move"],
  ["move_in_progress", "move in progress", "no interrupt has come on the new vector yet"],
  ["told_vector", "told: vector", "what the hardware was told: irq_cfg.vector"],
  ["told_dest", "told: APIC id", "what the hardware was told: irq_cfg.dest_apicid"],
  ["is_managed", "managed", "the kernel decides the affinity"],
  ["has_reserved", "reserved", "a reservation stands in for a vector"],
  ["can_reserve", "can reserve", "a reservation may stand in for a vector"],
  ["depth", "disable depth", "0 is enabled"],
  ["handler", "flow handler", "desc->handle_irq"],
  ["node", "node", "NUMA node; -1 is none"],
];

export function Interrupt({ store }: { store: Store }): JSX.Element {
  const { run, record, irq } = store;
  const { state } = run;
  const thing = irq === null ? undefined : state.thing("irq", irq);
  // Made once: there may be hundreds, by the names that they come to have.
  const options = useMemo(
    () =>
      state.all("irq").map((it) => Number(it.name)).sort((a, b) => a - b).map((n) => (
        <option key={n} value={String(n)}>{n} {state.get(state.thing("irq", n), "name", run.length) ?? ""}</option>
      )),
    [run],
  );
  const choose = (
    <div class="choose">
      <label>
        interrupt{" "}
        <select
          value={store.view.irq === null ? "" : String(store.view.irq)}
          onChange={(event) => {
            const { value } = event.currentTarget;
            store.set({ irq: value === "" ? null : Number(value) });
          }}
        >
          <option value="">the record's</option>
          {options}
        </select>
      </label>
      {thing && <h3>irq {thing.name} {shown(state.get(thing, "name", record)).replace("–", "")}</h3>}
    </div>
  );
  if (!thing) return <>{choose}<p class="muted">{irq === null ? "This record is about no interrupt." : `There is no interrupt ${irq}.`}</p></>;
  const flags = thing.places.get("flags");
  const change = flags === undefined ? null : state.last(flags, record);
  const now = words(flags === undefined ? null : state.at(flags, record));
  const before = change?.record === record ? words(change.old) : now;
  const levels = [0, 1, 2, 3].filter((n) => state.get(thing, `chip/${n}`, record) !== null);
  const counts = [...thing.places.keys()].filter((field) => field.startsWith("count/"));
  return (
    <>
      {choose}
      <table class="fields">
        <tbody>
          {FIELDS.map(([field, label, note]) => <Field key={field} store={store} thing={thing} field={field} label={label} note={note} />)}
          {counts.map((field) => <Field key={field} store={store} thing={thing} field={field} label={`count on CPU ${field.slice(6)}`} />)}
        </tbody>
      </table>
      <h3>Flags <Jumps store={store} place={flags} name={`flags of irq ${irq}`} /></h3>
      <ul class="flags" aria-label="Flags">
        {[...new Set([...now, ...before])].map((flag) => {
          const [is, was] = [now.includes(flag), before.includes(flag)];
          const mark = is && !was ? "+" : was && !is ? "−" : "";
          return <li key={flag} class={mark === "+" ? "set" : mark === "−" ? "cleared" : ""}>{mark}{flag}</li>;
        })}
      </ul>
      <h3>Hierarchy</h3>
      <ol class="levels">
        {levels.map((n) => (
          <li key={n} style={{ paddingLeft: `${n * 14}px` }}>
            {n > 0 ? "└ " : ""}
            <Value store={store} place={thing.places.get(`domain/${n}`)} />{" "}
            <span class="number"><Value store={store} place={thing.places.get(`hwirq/${n}`)} hex /></span>{" "}
            <Value store={store} place={thing.places.get(`chip/${n}`)} />
          </li>
        ))}
      </ol>
      <Message store={store} device={state.get(thing, "device", record)} entry={state.get(thing, "entry", record)} />
      <Way store={store} />
    </>
  );
}

function words(flags: unknown): string[] {
  return typeof flags === "string" ? flags.split(" ") : [];
}

/** The message of the interrupt, as the function has it. */
function Message({ store, device, entry }: { store: Store; device: unknown; entry: unknown }): JSX.Element | null {
  const thing = typeof device === "string" ? store.run.state.thing("device", device) : undefined;
  if (!thing) return null;
  const at = (name: string) => thing.places.get(`msix_${name}/${String(entry)}`) ?? thing.places.get(`msi_${name}`);
  return (
    <>
      <h3>Message</h3>
      <p class="message">
        {String(device)} entry {String(entry)}: <Value store={store} place={at("address")} />{" "}
        <Value store={store} place={at("data")} /> masked <Value store={store} place={at("masked") ?? at("mask")} />
        <Jumps store={store} place={at("data")} name="the message's data" />
      </p>
    </>
  );
}

/** The stations of the interrupt's way that is over next or goes on now. */
function Way({ store }: { store: Store }): JSX.Element | null {
  const { run, record, irq } = store;
  const flows = store.flows[store.view.side];
  const now = flows.at(irq, record);
  const all = flows.of(irq);
  const next = all.find((flow) => flow.stations[0] > record);
  const flow = now ?? next;
  if (!flow) return null;
  return (
    <>
      <h3>{now ? "On its way" : `Comes next, at record ${flow.stations[0]}`} <span class="muted">({all.length} in this run)</span></h3>
      <ol class="way">
        {flow.stations.map((station) => (
          <li key={station} class={station <= record ? "over" : ""}>
            <button class="link" onClick={() => store.go(station)}>{station}</button> {run.text(station)}
          </li>
        ))}
      </ol>
    </>
  );
}
