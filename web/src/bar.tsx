// The bar at the bottom: buttons, and time to drag.

import type { JSX } from "preact";
import { call, step } from "./move";
import { Store, useStore } from "./store";
import { seconds } from "./why";

export function Bar({ store }: { store: Store }): JSX.Element {
  useStore(store);
  const { run, record } = store;
  const command = run.commands.findLast((it) => it.record <= record);
  const button = (text: string, label: string, to: () => number) => (
    <button aria-label={label} title={label} onClick={() => store.go(to())}>{text}</button>
  );
  return (
    <footer class="bar">
      <div class="buttons" role="group" aria-label="Move the cursor">
        {button("|◀", "to the beginning (Home)", () => 0)}
        {button("⇤", "a step back (Ctrl ←)", () => step(run, record, false))}
        {button("«", "a call back (Shift ←)", () => call(run, record, false))}
        {button("◀", "a record back (←)", () => record - 1)}
        {button("▶", "a record on (→)", () => record + 1)}
        {button("»", "a call on (Shift →)", () => call(run, record, true))}
        {button("⇥", "a step on (Ctrl →)", () => step(run, record, true))}
        {button("▶|", "to the end (End)", () => run.length - 1)}
      </div>
      <input
        class="time"
        type="range"
        min={0}
        max={Math.max(0, run.length - 1)}
        value={record}
        aria-label="Record"
        aria-valuetext={`record ${record} of ${run.length}`}
        onInput={(event) => store.go(Number(event.currentTarget.value))}
      />
      <output class="at">
        record <b>{record}</b> of {run.length - 1} · {seconds(run.time[record] ?? 0)}
        {command && <span class="command" title={command.line}> · # {command.line}</span>}
      </output>
    </footer>
  );
}
