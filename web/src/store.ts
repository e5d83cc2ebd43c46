// What is looked at: one place that everything reads, and the address that says it.

import { useEffect, useReducer } from "preact/hooks";
import { Pairs } from "./align";
import { Flows } from "./flows";
import { Run } from "./run";
import type { PageData } from "./schema";

export type Clock = "record" | "time";
export type Theme = "auto" | "light" | "dark";
/** What the next press of the key or the button makes of a theme. */
export const NEXT_THEME: Record<Theme, Theme> = { auto: "dark", dark: "light", light: "auto" };
export type Tab = "interrupt" | "interrupts" | "vectors" | "apic" | "messages" | "domains" | "queues";
export const TABS: Tab[] = ["interrupt", "interrupts", "vectors", "apic", "messages", "domains", "queues"];

export interface View {
  /** Which of the runs is looked at. */
  side: number;
  /** The record of each run. */
  record: number[];
  /** The interrupt that was chosen; null follows the record. */
  irq: number | null;
  tab: Tab;
  clock: Clock;
  /** The part of the run in the lanes, in records or in ns. */
  window: [number, number];
  beginner: boolean;
  theme: Theme;
  dialog: "help" | "search" | null;
}

export class Store {
  readonly runs: Run[];
  readonly flows: Flows[];
  readonly pairs: Pairs | null;
  view: View;
  private readonly listeners = new Set<() => void>();

  constructor(readonly page: PageData) {
    this.runs = page.runs.map((data) => new Run(data));
    this.flows = this.runs.map((run) => new Flows(run));
    const [left, right] = this.runs;
    this.pairs = right ? new Pairs(left, right, page.causes ?? [], page.renamed ?? []) : null;
    this.view = {
      side: 0,
      record: this.runs.map(() => 0),
      irq: null,
      tab: "interrupt",
      clock: "record",
      window: [0, Math.max(1, this.runs[0].length)],
      beginner: false,
      theme: "auto",
      dialog: null,
    };
    this.readAddress();
    addEventListener("hashchange", this.moved);
  }

  private readonly moved = (): void => this.readAddress();

  /** Nobody looks any more. */
  close(): void {
    removeEventListener("hashchange", this.moved);
    clearTimeout(this.writing);
  }

  get run(): Run {
    return this.runs[this.view.side];
  }

  get record(): number {
    return this.view.record[this.view.side];
  }

  /** The interrupt that is shown: the chosen one, or that of the record or a call around it. */
  get irq(): number | null {
    if (this.view.irq !== null) return this.view.irq;
    const { run, record } = this;
    if (record >= run.length) return null;
    if (run.irq[record] >= 0) return run.irq[record];
    for (let at = run.call(record); at >= 0; at = run.parent[at]) if (run.irq[at] >= 0) return run.irq[at];
    const named = /^irq (\d+)/.exec(run.actor(record));
    if (named) return Number(named[1]);
    return this.firstIrq();
  }

  /** The first interrupt of a device that sends messages, as something to look at. */
  private firstIrq(): number | null {
    const { state } = this.run;
    const of = state.all("irq").filter((thing) => thing.places.has("device"));
    return of.length > 0 ? Math.min(...of.map((thing) => Number(thing.name))) : null;
  }

  set(change: Partial<View>): void {
    this.view = { ...this.view, ...change };
    this.writeAddress();
    for (const listener of this.listeners) listener();
  }

  /** Moves the cursor, and the window of the lanes after it. */
  go(record: number, side = this.view.side): void {
    const run = this.runs[side];
    const to = Math.max(0, Math.min(run.length - 1, record));
    const records = this.view.record.slice();
    records[side] = to;
    if (this.pairs) {
      const other = this.pairs.other(side, to);
      if (other !== null) records[1 - side] = other;
    }
    this.set({ record: records, side, window: this.around(run, to) });
  }

  /** The window, moved so that a record is in it. */
  private around(run: Run, record: number): [number, number] {
    const [from, to] = this.view.window;
    const at = this.view.clock === "record" ? record : run.time[record];
    const last = this.view.clock === "record" ? run.length : run.time[run.length - 1];
    const width = to - from;
    if (at >= from + width * 0.02 && at <= to - width * 0.02) return this.view.window;
    if (width >= last) return this.view.window;
    const start = Math.max(0, Math.min(last - width, at - width * 0.4));
    return [start, start + width];
  }

  listen(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private readAddress(): void {
    const words = new URLSearchParams(location.hash.slice(1));
    const number = (name: string): number | null => {
      const text = words.get(name);
      return text !== null && /^\d+$/.test(text) ? Number(text) : null;
    };
    // What an address does not say is as it is at first.
    const side = number("side") ?? 0;
    const tab = words.get("tab") as Tab;
    const theme = words.get("theme");
    this.view = {
      ...this.view,
      side: side < this.runs.length ? side : 0,
      irq: number("irq"),
      tab: TABS.includes(tab) ? tab : "interrupt",
      beginner: words.get("view") === "beginner",
      theme: theme === "light" || theme === "dark" ? theme : "auto",
    };
    const record = number("record");
    if (record !== null) this.go(record);
    else for (const listener of this.listeners) listener();
  }

  private writeAddress(): void {
    const { side, irq, tab, beginner, theme } = this.view;
    const words = [`record=${this.record}`];
    if (irq !== null) words.push(`irq=${irq}`);
    if (side > 0) words.push(`side=${side}`);
    if (tab !== "interrupt") words.push(`tab=${tab}`);
    if (beginner) words.push("view=beginner");
    if (theme !== "auto") words.push(`theme=${theme}`);
    const hash = `#${words.join("&")}`;
    if (location.hash === hash) return;
    this.wanted = hash;
    if (this.writing === 0) this.writing = window.setTimeout(() => this.flushAddress(), 120);
  }

  private wanted = "";
  private writing = 0;

  /** A browser takes only so many changes of the address. */
  private flushAddress(): void {
    this.writing = 0;
    history.replaceState(null, "", this.wanted);
  }
}

/** Draws a component again whenever something else is looked at. */
export function useStore(store: Store): View {
  const [, again] = useReducer((n: number) => n + 1, 0);
  useEffect(() => store.listen(() => again(undefined)), [store]);
  return store.view;
}
