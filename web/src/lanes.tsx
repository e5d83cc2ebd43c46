// Who did what, when: lanes of tasks, CPUs and devices.

import type { JSX, TargetedPointerEvent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { BAND, colors, LABELS, LEVEL, Painter, type Row } from "./paint";
import { phases } from "./phases";
import { EXIT, Run } from "./run";
import { Store, useStore } from "./store";

/** The lanes in their groups. */
const GROUPS: [string, (lane: { kind: string; cpu?: number }) => boolean][] = [
  ["tasks", (lane) => lane.kind === "task" && lane.cpu === undefined],
  ["CPUs", (lane) => lane.kind === "cpu"],
  ["devices", (lane) => lane.kind === "device"],
  ["threads of CPUs", (lane) => lane.kind === "task" && lane.cpu !== undefined],
];

/** With so few lanes there is room for the calls in each. */
const FEW = 6;
/** A group with more lanes is folded at first. */
const MANY = 16;

function depths(run: Run): Uint8Array {
  const deep = new Uint8Array(run.lanes.length);
  for (let i = 0; i < run.length; i++) {
    const d = run.depth[i] + 1;
    if (d > deep[run.lane[i]]) deep[run.lane[i]] = d;
  }
  return deep;
}

function layout(run: Run, folded: ReadonlySet<string>, tall: boolean, deep: Uint8Array): Row[] {
  const rows: Row[] = [];
  let top = BAND;
  const push = (label: string, lanes: number[], levels: number, group?: string) => {
    const height = group && lanes.length === 0 ? 15 : levels * LEVEL + 6;
    rows.push({ label, lanes, levels, top, height, ...(group ? { group } : {}) });
    top += height;
  };
  for (const [group, has] of GROUPS) {
    const all = run.lanes.map((_, i) => i).filter((i) => has(run.lanes[i]));
    if (all.length === 0) continue;
    all.sort((a, b) => (run.lanes[a].cpu ?? a) - (run.lanes[b].cpu ?? b));
    if (folded.has(group)) {
      push(`▸ ${all.length} ${group}`, all, 2, group);
      continue;
    }
    if (all.length > 3) push(`▾ ${group}`, [], 1, group);
    for (const lane of all) {
      push(run.lanes[lane].name, [lane], tall ? Math.max(1, Math.min(deep[lane], 9)) : 1);
    }
  }
  return rows;
}

export function Lanes({ store }: { store: Store }): JSX.Element {
  const view = useStore(store);
  const { run, record, irq } = store;
  const base = useRef<HTMLCanvasElement>(null);
  const over = useRef<HTMLCanvasElement>(null);
  const box = useRef<HTMLDivElement>(null);
  const [size, setSize] = useState<[number, number]>([800, 200]);
  const [scroll, setScroll] = useState(0);
  const [tall, setTall] = useState(() => run.lanes.length <= FEW);
  const [folded, setFolded] = useState<ReadonlySet<string>>(
    () => new Set(GROUPS.filter(([, has]) => run.lanes.filter(has).length > MANY).map(([group]) => group)),
  );
  const painter = useMemo(() => new Painter(run), [run]);
  const bands = useMemo(() => phases(run), [run]);
  const deep = useMemo(() => depths(run), [run]);
  const rows = useMemo(() => layout(run, folded, tall, deep), [run, folded, tall, deep]);
  const height = rows.length > 0 ? rows[rows.length - 1].top + rows[rows.length - 1].height : 0;
  const clock = view.clock;
  const last = clock === "record" ? run.length : run.time[run.length - 1] ?? 1;
  const frame = useRef(0);

  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setSize([element.clientWidth, element.clientHeight]));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  // Wheels zoom, so that the browser must not scroll.
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const wheel = (event: WheelEvent) => {
      event.preventDefault();
      if (event.shiftKey || Math.abs(event.deltaX) > Math.abs(event.deltaY)) pan((event.deltaX || event.deltaY) / (size[0] - LABELS));
      else if (event.ctrlKey || event.offsetX > LABELS) zoom(Math.exp(event.deltaY * 0.0015), event.offsetX);
      else setScroll((now) => Math.max(0, Math.min(height - size[1], now + event.deltaY)));
    };
    element.addEventListener("wheel", wheel, { passive: false });
    return () => element.removeEventListener("wheel", wheel);
  });
  const pan = (part: number) => {
    const [from, to] = store.view.window;
    const width = to - from;
    const start = Math.max(0, Math.min(last - width, from + part * width));
    store.set({ window: [start, start + width] });
  };
  const zoom = (factor: number, at = LABELS + (size[0] - LABELS) / 2) => {
    const [from, to] = store.view.window;
    const part = Math.max(0, Math.min(1, (at - LABELS) / (size[0] - LABELS)));
    const width = Math.max(clock === "record" ? 12 : 10, Math.min(last, (to - from) * factor));
    const start = Math.max(0, Math.min(last - width, from + part * (to - from - width)));
    store.set({ window: [start, start + width] });
  };

  const dark = view.theme;
  // Of many records it cannot be seen which interrupt they are about.
  const marked = Painter.isDetailed(run, view.window, clock) ? irq : null;
  useEffect(() => {
    const canvas = base.current;
    if (!canvas) return;
    cancelAnimationFrame(frame.current);
    frame.current = requestAnimationFrame(() => {
      const context = fitted(canvas, size);
      if (context) {
        painter.paint(context, size[0], size[1], rows, scroll, view.window, clock, marked, bands, colors(canvas));
      }
    });
  }, [painter, rows, scroll, view.window, clock, marked, size, bands, dark]);

  useEffect(() => {
    const canvas = over.current;
    const context = canvas && fitted(canvas, size);
    if (!context) return;
    context.clearRect(0, 0, size[0], size[1]);
    const c = colors(canvas);
    painter.ways(context, size[0], size[1], rows, scroll, view.window, clock, store.flows[view.side].of(irq), record, c);
    const [from, to] = view.window;
    const at = Painter.position(run, clock, record) + (clock === "record" ? 0.5 : 0);
    const x = LABELS + ((at - from) / (to - from)) * (size[0] - LABELS);
    if (x < LABELS) return;
    context.fillStyle = c.cursor;
    context.fillRect(x - 1, BAND, 2, size[1]);
    const row = rows.find((it) => it.lanes.includes(run.lane[record]));
    if (row) {
      context.beginPath();
      const y = row.top + row.height / 2 - scroll;
      context.arc(x, y, 4, 0, 7);
      context.fill();
    }
  }, [record, irq, view.window, size, rows, scroll, clock, run, dark]);

  const at = (event: { offsetX: number; offsetY: number }): { record: number; row: Row | undefined } => {
    const [from, to] = view.window;
    const position = from + ((event.offsetX - LABELS) / (size[0] - LABELS)) * (to - from);
    const row = rows.find((it) => event.offsetY + scroll >= it.top && event.offsetY + scroll < it.top + it.height);
    return { record: Painter.recordAt(run, clock, position), row };
  };
  const drag = useRef<{ x: number; window: [number, number]; moved: boolean } | null>(null);
  const down = (event: TargetedPointerEvent<HTMLDivElement>) => {
    if (event.offsetX < LABELS) {
      const { row } = at(event);
      const group = row?.group;
      if (group) {
        const next = new Set(folded);
        if (!next.delete(group)) next.add(group);
        setFolded(next);
      }
      return;
    }
    event.currentTarget.setPointerCapture(event.pointerId);
    drag.current = { x: event.offsetX, window: view.window, moved: false };
  };
  const move = (event: TargetedPointerEvent<HTMLDivElement>) => {
    const start = drag.current;
    if (!start) return;
    if (Math.abs(event.offsetX - start.x) > 3) start.moved = true;
    if (!start.moved) return;
    const [from, to] = start.window;
    const width = to - from;
    const to0 = from - ((event.offsetX - start.x) / (size[0] - LABELS)) * width;
    const begin = Math.max(0, Math.min(last - width, to0));
    store.set({ window: [begin, begin + width] });
  };
  const up = (event: TargetedPointerEvent<HTMLDivElement>) => {
    const start = drag.current;
    drag.current = null;
    if (!start || start.moved) return;
    const { record: near, row } = at(event);
    store.go(row && row.lanes.length > 0 ? nearest(run, near, row.lanes, (view.window[1] - view.window[0]) / 50, clock) : near);
  };
  const whole = () => store.set({ window: [0, last] });
  return (
    <section class="lanes" aria-label="Lanes">
      <h2>
        Lanes
        <span class="tools" role="group" aria-label="Lanes">
          <button onClick={() => zoom(0.5)} aria-label="zoom in" title="zoom in (+)">+</button>
          <button onClick={() => zoom(2)} aria-label="zoom out" title="zoom out (−)">−</button>
          <button onClick={whole} title="the whole run (0)">all</button>
          <button aria-pressed={tall} onClick={() => setTall(!tall)} title="nested calls in each lane">nested</button>
          <button
            aria-pressed={clock === "time"}
            title="the machine's clock instead of the order of the records (t)"
            onClick={() => setClock(store, clock === "record" ? "time" : "record")}
          >
            virtual time
          </button>
        </span>
      </h2>
      <div
        ref={box}
        class="canvas"
        role="img"
        aria-label={`Lanes of ${run.lanes.length} tasks, CPUs and devices. The cursor is at record ${record}: ${run.length > 0 ? run.text(record) : ""}, ${run.length > 0 ? run.actor(record) : ""}.`}
        onPointerDown={down}
        onPointerMove={move}
        onPointerUp={up}
      >
        <canvas ref={base} />
        <canvas ref={over} />
      </div>
    </section>
  );
}

/** Goes to the other clock with the same records in sight. */
export function setClock(store: Store, clock: "record" | "time"): void {
  const { run, view } = store;
  const [from, to] = view.window;
  const [first, last] = [from, to].map((position) => Painter.recordAt(run, view.clock, position));
  let window: [number, number] = [Painter.position(run, clock, first), Painter.position(run, clock, last)];
  if (clock === "record") window[1] = Math.max(window[1] + 1, window[0] + 12);
  if (window[1] - window[0] < 10) window = [window[0], window[0] + 10];
  store.set({ clock, window });
}

/** The record of some lanes that is nearest, if one is near. */
function nearest(run: Run, record: number, lanes: number[], near: number, clock: "record" | "time"): number {
  const is = (at: number) => lanes.includes(run.lane[at]) && run.kind[at] !== EXIT;
  const here = Painter.position(run, clock, record);
  for (let d = 0; d < run.length; d++) {
    const [before, behind] = [record - d, record + d];
    const far = (at: number) => at < 0 || at >= run.length || Math.abs(Painter.position(run, clock, at) - here) > near;
    if (far(before) && far(behind)) return record;
    if (!far(before) && is(before)) return before;
    if (!far(behind) && is(behind)) return behind;
  }
  return record;
}

/** A context of a canvas that is as large as it is drawn. */
export function fitted(canvas: HTMLCanvasElement, [width, height]: [number, number]): CanvasRenderingContext2D | null {
  const ratio = Math.min(2, window.devicePixelRatio || 1);
  const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  canvas.style.width = `${width}px`;
  canvas.style.height = `${height}px`;
  const context = canvas.getContext("2d");
  context?.setTransform(ratio, 0, 0, ratio, 0, 0);
  return context;
}
