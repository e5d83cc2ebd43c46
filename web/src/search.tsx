// Finding a record by its text.

import type { JSX, TargetedKeyboardEvent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { kindClass, sign } from "./calls";
import { EXIT, Run } from "./run";
import { Store, useStore } from "./store";

const MOST = 400;

/** Records whose text has all words, from a record on and then from the beginning. */
export function find(run: Run, words: string[], from: number, most = MOST): number[] {
  if (words.length === 0) return [];
  const low = words.map((word) => word.toLowerCase());
  // A word that is in the name of what is recorded rules out nothing by itself, but most records are ruled out by one.
  const names = run.data.of.map((of) => of.name.toLowerCase());
  const fields = run.data.of.map((of) => of.fields.join(" ").toLowerCase());
  const found: number[] = [];
  const look = (start: number, end: number) => {
    for (let i = start; i < end && found.length < most; i++) {
      if (run.kind[i] === EXIT) continue;
      const of = run.of[i];
      if (low.every((word) => names[of].includes(word))) {
        found.push(i);
        continue;
      }
      const possible = low.every((word) => {
        const [field] = word.split("=");
        return names[of].includes(word) || !word.includes("=") || field === "irq" || fields[of].includes(field);
      });
      if (possible && matches(run, i, low)) found.push(i);
    }
  };
  look(from, run.length);
  look(0, from);
  return found;
}

/** A word as an expression that matches nothing else. */
const literal = (word: string): string => word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&");

function matches(run: Run, record: number, words: string[]): boolean {
  const text = `${run.text(record)} ${run.actor(record)}`.toLowerCase();
  return words.every((word) => {
    const named = /^irq=(\d+)$/.exec(word);
    if (named && run.irq[record] === Number(named[1])) return true;
    // `vector=3` is not `vector=33`.
    return word.includes("=") ? new RegExp(`(^|[ (,])${literal(word)}($|[ ),])`).test(text) : text.includes(word);
  });
}

export function Search({ store }: { store: Store }): JSX.Element {
  useStore(store);
  const { run } = store;
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const [from] = useState(store.record);
  const input = useRef<HTMLInputElement>(null);
  useEffect(() => input.current?.focus(), []);
  const found = useMemo(() => find(run, text.split(/\s+/).filter((word) => word !== ""), from), [run, text]);
  const close = () => store.set({ dialog: null });
  const choose = (i: number) => {
    const next = Math.max(0, Math.min(found.length - 1, i));
    setAt(next);
    if (found[next] !== undefined) store.go(found[next]);
    document.getElementById(`found-${next}`)?.scrollIntoView({ block: "nearest" });
  };
  const key = (event: TargetedKeyboardEvent<HTMLInputElement>) => {
    if (event.key === "Escape") close();
    else if (event.key === "Enter") {
      if (found[at] !== undefined) store.go(found[at]);
      close();
    } else if (event.key === "ArrowDown") choose(at + (store.record === found[at] ? 1 : 0));
    else if (event.key === "ArrowUp") choose(at - 1);
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  return (
    <dialog class="search" open aria-label="Search">
      <input
        ref={input}
        type="text"
        role="combobox"
        aria-autocomplete="list"
        aria-expanded="true"
        aria-controls="found"
        aria-label="Text of a call, tracepoint or hardware record"
        placeholder="name, irq=29, vector=33 cpu=4 …"
        value={text}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setAt(0);
        }}
        onKeyDown={key}
      />
      <p class="muted" role="status">
        {text.trim() === ""
          ? "↑ ↓ move the cursor along, Enter stays there, Escape closes"
          : `${found.length}${found.length === MOST ? " or more" : ""} found, from record ${from} on`}
      </p>
      <ul id="found" role="listbox" aria-label="Found">
        {found.map((record, i) => (
          <li
            key={record}
            id={`found-${i}`}
            role="option"
            aria-selected={i === at}
            class={kindClass(run.kind[record])}
            onClick={() => {
              store.go(record);
              close();
            }}
          >
            <span class="number">{record}</span> {sign(run.kind[record])} {run.text(record)}
          </li>
        ))}
      </ul>
    </dialog>
  );
}
