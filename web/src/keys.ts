// The keyboard.

import { setClock } from "./lanes";
import { call, step } from "./move";
import { NEXT_THEME, Store, TABS } from "./store";

/** What somebody types into takes its own keys. */
function isTaken(target: EventTarget | null): boolean {
  if (!(target instanceof HTMLElement)) return false;
  if (target instanceof HTMLInputElement) return !["range", "checkbox", "radio"].includes(target.type);
  return target instanceof HTMLSelectElement || target instanceof HTMLTextAreaElement;
}

export function pressed(store: Store, event: KeyboardEvent): void {
  if (event.key === "Escape" && store.view.dialog) {
    store.set({ dialog: null });
    return;
  }
  if (isTaken(event.target) || event.altKey || event.metaKey) return;
  // Somebody who types at once is not at the page any more, although the search is not drawn yet.
  if (store.view.dialog === "search") return;
  const { run, record } = store;
  if (event.target instanceof HTMLInputElement && event.target.type === "radio" && event.key.startsWith("Arrow")) return;
  const arrow = event.key === "ArrowRight" ? true : event.key === "ArrowLeft" ? false : null;
  if (arrow !== null) {
    const to = event.ctrlKey ? step(run, record, arrow) : event.shiftKey ? call(run, record, arrow) : record + (arrow ? 1 : -1);
    store.go(to);
  } else if (event.ctrlKey) return;
  else if (event.key === "Home") store.go(0);
  else if (event.key === "End") store.go(run.length - 1);
  else if (event.key === "/") store.set({ dialog: "search" });
  else if (event.key === "?") store.set({ dialog: store.view.dialog === "help" ? null : "help" });
  else if (event.key === "b") store.set({ beginner: !store.view.beginner });
  else if (event.key === "t") setClock(store, store.view.clock === "record" ? "time" : "record");
  else if (event.key === "d") store.set({ theme: NEXT_THEME[store.view.theme] });
  else if (event.key === "+" || event.key === "=") zoom(store, 0.5);
  else if (event.key === "-") zoom(store, 2);
  else if (event.key === "0") zoom(store, Infinity);
  else if (event.key === "[" || event.key === "]") change(store, event.key === "]");
  else if (/^[1-7]$/.test(event.key)) store.set({ tab: TABS[Number(event.key) - 1] });
  else return;
  event.preventDefault();
}

function zoom(store: Store, factor: number): void {
  const { run, view, record } = store;
  const last = view.clock === "record" ? run.length : run.time[run.length - 1];
  const [from, to] = view.window;
  const width = Math.max(12, Math.min(last, (to - from) * factor));
  const at = view.clock === "record" ? record : run.time[record];
  const start = Math.max(0, Math.min(last - width, at - width / 2));
  store.set({ window: [start, start + width] });
}

/** To the change of the chosen interrupt before, or the next one. */
function change(store: Store, forward: boolean): void {
  const { run, record, irq } = store;
  const thing = irq === null ? undefined : run.state.thing("irq", irq);
  if (!thing) return;
  let best: number | null = null;
  for (const place of thing.places.values()) {
    const found = forward ? run.state.next(place, record) : run.state.last(place, record - 1);
    if (found && (best === null || (forward ? found.record < best : found.record > best))) best = found.record;
  }
  if (best !== null) store.go(best);
}
