// An exhibit of the museum beside its run.

import type { JSX } from "preact";
import { Markdown } from "./markdown";
import type { ExhibitData } from "./schema";
import { Store, useStore } from "./store";

export function Exhibit({ store, exhibit }: { store: Store; exhibit: ExhibitData }): JSX.Element {
  useStore(store);
  const { wrong } = store.run.data;
  return (
    <aside class="lesson" aria-label={`Exhibit ${exhibit.id}`} tabIndex={0}>
      <h2>{exhibit.id}: {exhibit.title}</h2>
      <Markdown text={exhibit.story} link={(name) => <>[{name}]</>} />
      {wrong.length > 0 && (
        <>
          <h3>What is wrong</h3>
          <ul>
            {wrong.map(({ record, text }) => (
              <li key={text}><button class="station" onClick={() => store.go(record)}>record {record}</button> {text}</li>
            ))}
          </ul>
        </>
      )}
      {exhibit.schedule && <p class="muted">The schedule of this run: <code>{exhibit.schedule}</code></p>}
    </aside>
  );
}
