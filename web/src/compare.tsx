// Two kernels beside each other.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { kindClass, sign, Text } from "./calls";
import { Store, useStore } from "./store";
import { Window } from "./window";

const HEIGHT = 20;

export function Compare({ store }: { store: Store }): JSX.Element {
  const view = useStore(store);
  const [differing, setDiffering] = useState(false);
  const { pairs, page } = store;
  if (!pairs) return <></>;
  const rows = useMemo(() => {
    const all = pairs.rows.map((_, i) => i);
    if (!differing) return all;
    // What differs, and the call around it.
    const wanted = new Set<number>();
    all.forEach((i) => {
      if (!pairs.rows[i].differs) return;
      wanted.add(i);
      for (let at = i - 1; at >= 0; at--) {
        if (pairs.rows[at].depth < pairs.rows[i].depth) {
          wanted.add(at);
          break;
        }
      }
    });
    return all.filter((i) => wanted.has(i));
  }, [pairs, differing]);
  const at = view.record.map((record, which) => pairs.row(which, record));
  let here = rows.findIndex((i) => i >= at[view.side]);
  if (here < 0) here = rows.length - 1;
  const differences = useMemo(() => pairs.rows.flatMap((pair, i) => (pair.differs ? [i] : [])), [pairs]);
  const jump = (forward: boolean) => {
    const next = forward ? differences.find((i) => i > at[view.side]) : differences.findLast((i) => i < at[view.side]);
    if (next === undefined) return;
    const pair = pairs.rows[next];
    store.go(pair.left >= 0 ? pair.left : pair.right, pair.left >= 0 ? 0 : 1);
  };
  const side = (i: number, which: 0 | 1): JSX.Element => {
    const pair = pairs.rows[i];
    const record = which === 0 ? pair.left : pair.right;
    if (record < 0) return <div class="none" aria-hidden="true" />;
    const run = store.runs[which];
    const is = at[which] === i;
    return (
      <div
        class={`half ${kindClass(run.kind[record])}${is ? " here" : ""}${which === view.side ? " side" : ""}`}
        style={{ paddingLeft: `calc(4px + ${Math.min(pair.depth, 20)} * var(--indent, 10px))` }}
        title={run.text(record)}
        onClick={() => store.go(record, which)}
      >
        {pair.depth === 0 && <span class="muted">{run.actor(record)} </span>}
        <span class="sign" aria-hidden="true">{sign(run.kind[record])}</span>
        <Text run={run} record={record} />
      </div>
    );
  };
  return (
    <section class="calls compare" aria-label="Calls of both kernels">
      <h2>
        {store.runs[0].data.kernel} and {store.runs[1].data.kernel}
        <label class="switch">
          <input type="checkbox" checked={differing} onChange={(event) => setDiffering(event.currentTarget.checked)} />
          only what differs ({differences.length})
        </label>
        <span class="tools" role="group" aria-label="Differences">
          <button onClick={() => jump(false)} aria-label="the difference before">◁ ≠</button>
          <button onClick={() => jump(true)} aria-label="the next difference">≠ ▷</button>
        </span>
      </h2>
      <Window
        count={rows.length}
        height={HEIGHT}
        at={here}
        moved={`${view.record.join(" ")} ${differing}`}
        label="Calls of both kernels"
        role="list"
        class="pairs"
        row={(row) => {
          const i = rows[row];
          const pair = pairs.rows[i];
          const words = pair.because.length > 0 ? pair.because.join(", ") : pair.differs ? "≠" : "=";
          return (
            <div key={i} role="listitem" class={`pair${pair.differs ? " differs" : ""}`}>
              {side(i, 0)}
              <div class="joint" title={pair.because.map((field) => why(store, field)).join("\n")}>
                {pair.because.length > 0 ? <b>{words}</b> : words}
              </div>
              {side(i, 1)}
            </div>
          );
        }}
      />
      {page.causes && page.causes.length > 0 && (
        <details class="causes">
          <summary>{page.causes.length} behaviours are behind the differences</summary>
          <ul>
            {page.causes.map((cause) => (
              <li key={cause.field}><b>{cause.field}</b>: {cause.left} → {cause.right}. {cause.doc} <span class="muted">{cause.function}(){cause.changed ? `, ${cause.changed}` : ""}</span></li>
            ))}
          </ul>
        </details>
      )}
    </section>
  );
}

function why(store: Store, field: string): string {
  const cause = store.page.causes?.find((it) => it.field === field);
  return cause ? `${field}: ${cause.left} → ${cause.right}\n${cause.doc}\n${cause.function}()${cause.changed ? `, ${cause.changed}` : ""}` : field;
}
