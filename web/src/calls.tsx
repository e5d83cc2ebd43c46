// The call tree.

import type { JSX } from "preact";
import { useMemo, useState } from "preact/hooks";
import { children, COUNT, forBeginners, HEAD, Rows } from "./rows";
import { ENTER, EXIT, HARDWARE, returned, Run, TRACEPOINT, WARNING } from "./run";
import { Store, useStore } from "./store";
import { Window } from "./window";

const HEIGHT = 20;

/** A sign for what a record is, for those who do not see its colour. */
export function sign(kind: number): string {
  return kind === ENTER ? "ƒ" : kind === EXIT ? "↵" : kind === TRACEPOINT ? "•" : kind === WARNING ? "!" : "◆";
}

export function kindClass(kind: number): string {
  return ["enter", "exit", "tracepoint", "hardware", "warning"][kind];
}

/** The text of a record, its name set off. */
export function Text({ run, record }: { run: Run; record: number }): JSX.Element {
  const text = run.text(record);
  const name = run.name(record);
  const rest = text.slice(name.length);
  const ret = run.kind[record] === ENTER && run.end[record] < run.length ? run.value(run.end[record], "ret") : undefined;
  return (
    <>
      <span class="name">{name}</span>
      <span class="rest">{rest}</span>
      {ret !== undefined && ret !== null && <span class="ret"> = {returned(ret)}</span>}
    </>
  );
}

export function Calls({ store }: { store: Store }): JSX.Element {
  const view = useStore(store);
  const { run, record, irq } = store;
  const [folded, setFolded] = useState<ReadonlySet<number>>(new Set());
  const wanted = useMemo(() => (view.beginner ? forBeginners(run) : null), [run, view.beginner]);
  const rows = useMemo(() => new Rows(run, folded, wanted), [run, folded, wanted]);
  const inner = useMemo(() => children(run), [run]);
  const changed = useMemo(() => {
    const counts = new Uint8Array(run.length);
    for (const at of run.state.record) if (counts[at] < 255) counts[at]++;
    return counts;
  }, [run]);
  const here = rows.of(record);
  const fold = (call: number) => {
    const next = new Set(folded);
    if (!next.delete(call)) next.add(call);
    setFolded(next);
  };
  const row = (i: number): JSX.Element => {
    const [kind, at, depth] = [rows.kind[i], rows.record[i], rows.depth[i]];
    const indent = { paddingLeft: `calc(4px + ${Math.min(depth, 24)} * var(--indent, 12px))` };
    if (kind === HEAD) {
      const cpu = run.context[at] < 0 ? "" : `, CPU ${run.cpu[at]}`;
      return <div key={i} class="row head" role="treeitem" aria-level={1}>{run.actor(at)}{cpu}</div>;
    }
    if (kind === COUNT) {
      return (
        <div key={i} class="row count" role="treeitem" aria-level={depth + 1} style={indent}>
          ⋯ {rows.count[i]} more {rows.count[i] === 1 ? "record" : "records"}
        </div>
      );
    }
    const what = run.kind[at];
    const is = i === here;
    const open = what === ENTER && inner[at] === 1 && !wanted;
    return (
      <div
        key={i}
        id={is ? "here" : undefined}
        role="treeitem"
        aria-level={depth + 1}
        aria-selected={is}
        aria-expanded={open ? !folded.has(at) : undefined}
        class={`row ${kindClass(what)}${is ? " here" : ""}${irq !== null && run.irq[at] === irq ? " ours" : ""}`}
        style={indent}
        title={run.text(at)}
        onClick={() => store.go(at)}
        onDblClick={() => open && fold(at)}
      >
        {open ? (
          <button
            class="fold"
            tabIndex={-1}
            aria-label={folded.has(at) ? "unfold" : "fold"}
            onClick={(event) => {
              event.stopPropagation();
              fold(at);
            }}
          >
            {folded.has(at) ? "▸" : "▾"}
          </button>
        ) : (
          <span class="sign" aria-hidden="true">{what === ENTER ? "" : sign(what)}</span>
        )}
        {what === EXIT ? (
          <span class="rest">{run.text(at)}</span>
        ) : (
          <Text run={run} record={at} />
        )}
        {changed[at] > 0 && <span class="delta" title={`${changed[at]} values of the state change here`}>Δ{changed[at]}</span>}
        {what === HARDWARE ? <span class="hidden"> (hardware)</span> : null}
      </div>
    );
  };
  return (
    <section class="calls" aria-label="Calls">
      <h2>
        Calls
        <label class="switch">
          <input
            type="checkbox"
            checked={view.beginner}
            onChange={(event) => store.set({ beginner: event.currentTarget.checked })}
          />
          only what is explained
        </label>
      </h2>
      <Window
        count={rows.length}
        height={HEIGHT}
        at={here}
        moved={`${view.side} ${record}`}
        label="Call tree"
        role="tree"
        class="tree"
        active="here"
        row={row}
      />
    </section>
  );
}
