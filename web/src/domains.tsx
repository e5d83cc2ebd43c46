// The hierarchy of domains, and where the chosen interrupt is in it.

import type { JSX } from "preact";
import type { Thing } from "./run";
import type { Cell } from "./schema";
import { Store } from "./store";
import { Jumps, Value } from "./value";

export function Domains({ store }: { store: Store }): JSX.Element {
  const { run, record, irq } = store;
  const { state } = run;
  const there = state.all("domain").filter((thing) => state.get(thing, "name", record) !== null);
  const above = (parent: Thing | null) =>
    there.filter((thing) => {
      const of = state.get(thing, "parent", record);
      return parent === null ? of === null : String(of) === parent.name && of !== null;
    });
  const thing = irq === null ? undefined : state.thing("irq", irq);
  const own = new Set<Cell>([0, 1, 2, 3].map((n) => state.get(thing, `domain/${n}`, record)).filter((name) => name !== null));
  const tree = (parent: Thing | null): JSX.Element => (
    <ul>
      {above(parent).map((domain) => (
        <li key={domain.name}>
          <span class={own.has(state.get(domain, "name", record)) ? "here" : ""}>
            <Value store={store} place={domain.places.get("name")} />
          </span>{" "}
          <span class="muted">mapped</span> <Value store={store} place={domain.places.get("mapped")} />
          <Jumps store={store} place={domain.places.get("mapped")} name={`mapped of ${String(state.get(domain, "name", record))}`} />
          {above(domain).length > 0 && tree(domain)}
        </li>
      ))}
    </ul>
  );
  return (
    <div class="domains">
      <p class="muted">Each domain under the one that it hands its interrupts to. {own.size > 0 && <>Those of irq {irq} are marked.</>}</p>
      {there.length === 0 ? <p class="muted">There is no domain yet.</p> : tree(null)}
    </div>
  );
}
