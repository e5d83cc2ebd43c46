// What is under the cursor: who, when, where in the sources, and what it is for.

import type { JSX } from "preact";
import { ENTER, EXIT, Run, shown } from "./run";
import { Store, useStore } from "./store";

/** The place of a function in a public cross-reference. */
export function source(kernel: string, file: string, line?: number): string {
  return `https://elixir.bootlin.com/linux/${kernel}/source/${file}${line === undefined ? "" : `#L${line}`}`;
}

export function seconds(ns: number): string {
  return `${(ns / 1e9).toFixed(6)} s`;
}

function Place({ run, name }: { run: Run; name: string }): JSX.Element | null {
  const about = run.about(name);
  if (!about?.file) return null;
  const line = about.line === undefined ? "" : `:${about.line}`;
  return (
    <a class="source" href={source(run.data.kernel, about.file, about.line)} target="_blank" rel="noreferrer">
      {about.file}{line} ↗
    </a>
  );
}

export function Why({ store }: { store: Store }): JSX.Element {
  useStore(store);
  const { run, record } = store;
  const kind = run.kind[record];
  const name = run.name(record);
  const around = kind === ENTER || kind === EXIT ? -1 : run.parent[record];
  const text = run.about(name)?.text;
  const within = around >= 0 ? run.name(around) : null;
  const values = run.values(record).filter(([, value]) => value !== null);
  return (
    <section class="why" aria-label="What this is">
      <div class="what">
        <h2 class="name">{name}{kind === ENTER || kind === EXIT ? "()" : ""}</h2>
        <span class="muted">
          {kind === EXIT ? "returns · " : ""}
          {run.actor(record)}
          {run.context[record] >= 0 ? `, CPU ${run.cpu[record]}` : ""} · {seconds(run.time[record])}
        </span>
        <Place run={run} name={name} />
        {within && (
          <span class="muted">
            in <button class="link" onClick={() => store.go(around)}>{within}()</button> <Place run={run} name={within} />
          </span>
        )}
      </div>
      {values.length > 0 && (
        <div class="values">
          {values.map(([field, value]) => (
            <span key={field}><span class="muted">{field}</span> {shown(value)}</span>
          ))}
        </div>
      )}
      <p class="text" aria-live="polite">{text ?? (within ? run.about(within)?.text : undefined) ?? ""}</p>
    </section>
  );
}
