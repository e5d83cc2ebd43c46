// The page.

import type { JSX } from "preact";
import { useEffect } from "preact/hooks";
import { Bar } from "./bar";
import { Calls } from "./calls";
import { Compare } from "./compare";
import { Exhibit } from "./exhibit";
import { Help } from "./help";
import { pressed } from "./keys";
import { Lanes } from "./lanes";
import { Lesson } from "./lesson";
import { Search } from "./search";
import { State } from "./state";
import { NEXT_THEME, Store, useStore } from "./store";
import { Why } from "./why";

export function App({ store }: { store: Store }): JSX.Element {
  const view = useStore(store);
  const { run, page } = store;
  useEffect(() => {
    const key = (event: KeyboardEvent) => pressed(store, event);
    addEventListener("keydown", key);
    return () => removeEventListener("keydown", key);
  }, [store]);
  useEffect(() => {
    if (view.theme === "auto") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = view.theme;
    // Canvases read their colours when they are drawn.
    dispatchEvent(new Event("resize"));
  }, [view.theme]);
  if (run.length === 0) return <main class="empty"><p>Nothing was recorded in this run.</p></main>;
  const { lesson, exhibit } = page;
  return (
    <div class={`page${lesson || exhibit ? " with-lesson" : ""}${store.pairs ? " two" : ""}`}>
      <header>
        <h1>irqlab</h1>
        <span class="title">
          {store.runs.map((it) => it.data.kernel).join(" and ")} · {run.data.name} · {run.data.cpus} CPUs
          {run.data.set.length > 0 && ` · ${run.data.set.join(" ")}`}
        </span>
        <span class="tools">
          <button onClick={() => store.set({ dialog: "search" })} title="search (/)">search</button>
          <button onClick={() => void share()} title="copy the address of this place">share</button>
          <button onClick={() => store.set({ theme: NEXT_THEME[view.theme] })} title="dark, light, or as the system has it (d)">
            {view.theme === "auto" ? "◐" : view.theme === "dark" ? "●" : "○"}<span class="hidden"> theme: {view.theme}</span>
          </button>
          <button onClick={() => store.set({ dialog: "help" })} title="keys and signs (?)" aria-label="help">?</button>
        </span>
      </header>
      <main>
        {lesson && <Lesson store={store} lesson={lesson} />}
        {!lesson && exhibit && <Exhibit store={store} exhibit={exhibit} />}
        <Lanes store={store} key={view.side} />
        {store.pairs ? <Compare store={store} /> : <Calls store={store} />}
        <State store={store} />
        <Why store={store} />
      </main>
      <Bar store={store} />
      {view.dialog === "help" && <Help store={store} />}
      {view.dialog === "search" && <Search store={store} />}
    </div>
  );
}

/** Copies the address, where the browser lets us; the address bar has it anyway. */
async function share(): Promise<void> {
  try {
    await navigator.clipboard.writeText(location.href);
  } catch {
    prompt("The address of this place:", location.href);
  }
}
