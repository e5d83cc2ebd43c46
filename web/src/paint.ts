// Draws the lanes on a canvas.

import { after, ENTER, EXIT, HARDWARE, Run, TRACEPOINT, WARNING } from "./run";
import type { Flow } from "./flows";
import type { Phase } from "./phases";

/** A lane as it is drawn: one of the run, or several that are folded into one. */
export interface Row {
  label: string;
  lanes: number[];
  /** How many levels of calls are drawn. */
  levels: number;
  top: number;
  height: number;
  /** The head of a group that can be folded. */
  group?: string;
}

export const LEVEL = 13;
export const BAND = 17;
export const LABELS = 108;
/** More records than this are drawn as density. */
const DETAIL = 2500;
const CHECK = 2048;

export interface Colors {
  ink: string;
  muted: string;
  line: string;
  paper: string;
  band: string;
  call: string[];
  hardware: string;
  tracepoint: string;
  warning: string;
  flow: string;
  cursor: string;
}

export function colors(element: Element): Colors {
  const style = getComputedStyle(element);
  const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
  return {
    ink: of("ink"), muted: of("muted"), line: of("line"), paper: of("paper"), band: of("band"),
    call: [of("call0"), of("call1"), of("call2"), of("call3")],
    hardware: of("hardware"), tracepoint: of("tracepoint"), warning: of("warning"), flow: of("flow"), cursor: of("cursor"),
  };
}

export class Painter {
  /** The calls that are open at every so many records. */
  private readonly open: number[][] = [];

  constructor(readonly run: Run) {
    const now = new Set<number>();
    for (let i = 0; i < run.length; i++) {
      if (i % CHECK === 0) this.open.push([...now]);
      if (run.kind[i] === ENTER) now.add(i);
      else if (run.kind[i] === EXIT && run.parent[i] >= 0) now.delete(run.parent[i]);
    }
  }

  /** Where a record is on the axis. */
  static position(run: Run, clock: "record" | "time", record: number): number {
    return clock === "record" ? record : (run.time[Math.min(record, run.length - 1)] ?? 0);
  }

  /** The first record at or behind a place of the axis. */
  static recordAt(run: Run, clock: "record" | "time", position: number): number {
    const at = clock === "record" ? Math.floor(position) : after(run.time, position - 1e-6);
    return Math.max(0, Math.min(run.length - 1, at));
  }

  paint(
    context: CanvasRenderingContext2D, width: number, height: number, rows: Row[], scroll: number,
    window: [number, number], clock: "record" | "time", irq: number | null, phases: Phase[], c: Colors,
  ): void {
    const { run } = this;
    context.fillStyle = c.paper;
    context.fillRect(0, 0, width, height);
    const [from, to] = window;
    const scale = (width - LABELS) / Math.max(1e-9, to - from);
    const x = (position: number) => LABELS + (position - from) * scale;
    const first = clock === "record" ? Math.max(0, Math.floor(from)) : after(run.time, from - 1);
    const last = clock === "record" ? Math.min(run.length, Math.ceil(to)) : after(run.time, to);
    const rowOf = this.visible(rows, scroll, height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    context.save();
    context.beginPath();
    context.rect(LABELS, BAND, width - LABELS, height - BAND);
    context.clip();
    this.lines(context, width, height, rows, scroll, c);
    if (last - first > DETAIL) this.density(context, width, rows, rowOf, scroll, first, last, x, clock, c);
    else this.detail(context, width, rows, rowOf, scroll, first, last, x, clock, scale, irq, c);
    context.restore();
    this.bands(context, width, x, clock, phases, c);
    this.labels(context, height, rows, scroll, c);
  }

  /** The row of each lane that is in sight, or -1. */
  private visible(rows: Row[], scroll: number, height: number): Int16Array {
    const rowOf = new Int16Array(this.run.lanes.length).fill(-1);
    rows.forEach((row, i) => {
      if (row.top - scroll < height && row.top + row.height - scroll > BAND) for (const lane of row.lanes) rowOf[lane] = i;
    });
    return rowOf;
  }

  /** So few records are in sight that each is drawn. */
  static isDetailed(run: Run, [from, to]: [number, number], clock: "record" | "time"): boolean {
    return Painter.recordAt(run, clock, to) - Painter.recordAt(run, clock, from) <= DETAIL;
  }

  private lines(context: CanvasRenderingContext2D, width: number, height: number, rows: Row[], scroll: number, c: Colors): void {
    context.fillStyle = c.line;
    for (const row of rows) {
      const y = row.top + row.height - scroll;
      if (y > BAND && y < height) context.fillRect(LABELS, y - 1, width, 1);
    }
  }

  /** For each column of pixels how deep the calls are. */
  private density(
    context: CanvasRenderingContext2D, width: number, rows: Row[], rowOf: Int16Array, scroll: number,
    first: number, last: number, x: (position: number) => number, clock: "record" | "time", c: Colors,
  ): void {
    const { run } = this;
    const columns = Math.ceil(width);
    const deep = new Uint8Array(rows.length * columns);
    const marks = new Uint8Array(rows.length * columns);
    const [zero, one] = [x(0), x(1)];
    const scale = one - zero;
    const { lane, depth, kind, time } = run;
    for (let i = first; i < last; i++) {
      const row = rowOf[lane[i]];
      if (row < 0) continue;
      const column = (zero + (clock === "record" ? i : time[i]) * scale) | 0;
      if (column < 0 || column >= columns) continue;
      const at = row * columns + column;
      if (kind[i] === HARDWARE) marks[at] = 1;
      else {
        const d = depth[i] + 1;
        if (d > deep[at]) deep[at] = d;
      }
    }
    rows.forEach((row, r) => {
      if (row.lanes.length === 0 || rowOf[row.lanes[0]] !== r) return;
      const base = row.top + row.height - 2 - scroll;
      const tall = row.height - 4;
      // One rectangle for neighbours that are alike.
      for (let from = LABELS; from < columns; ) {
        const d = deep[r * columns + from];
        let to = from + 1;
        while (to < columns && deep[r * columns + to] === d) to++;
        if (d > 0) {
          const h = Math.max(2, Math.min(tall, (tall * Math.min(d, 12)) / 12));
          context.fillStyle = c.call[Math.min(3, d >> 2)];
          context.fillRect(from, base - h, Math.max(to - from, 1), h);
        }
        from = to;
      }
      context.fillStyle = c.hardware;
      for (let column = LABELS; column < columns; column++) {
        if (marks[r * columns + column]) context.fillRect(column, row.top + 1 - scroll, 1, 4);
      }
    });
  }

  private detail(
    context: CanvasRenderingContext2D, width: number, rows: Row[], rowOf: Int16Array, scroll: number, first: number, last: number,
    x: (position: number) => number, clock: "record" | "time", scale: number, irq: number | null, c: Colors,
  ): void {
    const { run } = this;
    const position = (record: number) => Painter.position(run, clock, record);
    const bar = (record: number) => {
      const row = rows[rowOf[run.lane[record]]];
      // What does not fit below stays inside of the call around it.
      if (!row || run.depth[record] >= row.levels) return;
      const level = run.depth[record];
      const left = Math.max(LABELS, x(position(record)));
      const right = Math.min(width, x(position(run.end[record]) + (clock === "record" ? 1 : 0)));
      const y = row.top + 2 + level * LEVEL - scroll;
      const w = Math.max(1, right - left - (right - left > 3 ? 1 : 0));
      context.fillStyle = c.call[run.depth[record] & 3];
      context.fillRect(left, y, w, LEVEL - 1);
      if (irq !== null && run.irq[record] === irq) {
        context.fillStyle = c.flow;
        context.fillRect(left, y, Math.min(w, 3), LEVEL - 1);
      }
      if (w > 26) {
        context.fillStyle = c.ink;
        const name = run.name(record);
        const room = Math.floor((w - 8) / 6);
        context.fillText(name.length > room ? `${name.slice(0, Math.max(1, room - 1))}…` : name, left + 4, y + LEVEL / 2);
      }
    };
    for (const record of this.openAt(first)) bar(record);
    for (let i = first; i < last; i++) if (run.kind[i] === ENTER) bar(i);
    const size = Math.max(2, Math.min(5, scale * 0.4));
    for (let i = first; i < last; i++) {
      const kind = run.kind[i];
      if (kind !== HARDWARE && kind !== TRACEPOINT && kind !== WARNING) continue;
      const row = rows[rowOf[run.lane[i]]];
      if (!row) continue;
      const px = x(position(i) + (clock === "record" ? 0.5 : 0));
      if (kind === TRACEPOINT) {
        const y = row.top + 2 + Math.min(run.depth[i], row.levels - 1) * LEVEL + LEVEL / 2 - scroll;
        context.fillStyle = c.tracepoint;
        context.beginPath();
        context.arc(px, y, size * 0.8, 0, 7);
        context.fill();
        continue;
      }
      const y = row.top + row.height - 7 - scroll;
      context.fillStyle = kind === WARNING ? c.warning : c.hardware;
      context.beginPath();
      context.moveTo(px, y - size);
      context.lineTo(px + size, y);
      context.lineTo(px, y + size);
      context.lineTo(px - size, y);
      context.fill();
      if (scale > 70) {
        context.fillStyle = c.ink;
        context.fillText(run.name(i).replace("hw::", ""), px + size + 2, y);
      }
    }
  }

  private openAt(record: number): number[] {
    const { run } = this;
    const check = Math.floor(record / CHECK);
    const open = new Set(this.open[check] ?? []);
    for (let i = check * CHECK; i < record; i++) {
      if (run.kind[i] === ENTER) open.add(i);
      else if (run.kind[i] === EXIT && run.parent[i] >= 0) open.delete(run.parent[i]);
    }
    return [...open].sort((a, b) => a - b);
  }

  /** Draws the ways of the chosen interrupt, which is done above what has been drawn. */
  ways(
    context: CanvasRenderingContext2D, width: number, height: number, rows: Row[], scroll: number,
    [from, to]: [number, number], clock: "record" | "time", flows: Flow[], cursor: number, c: Colors,
  ): void {
    const { run } = this;
    const scale = (width - LABELS) / Math.max(1e-9, to - from);
    const x = (position: number) => LABELS + (position - from) * scale;
    const [first, last] = [Painter.recordAt(run, clock, from), Painter.recordAt(run, clock, to)];
    const rowOf = this.visible(rows, scroll, height);
    context.save();
    context.beginPath();
    context.rect(LABELS, BAND, width - LABELS, height - BAND);
    context.clip();
    context.strokeStyle = c.flow;
    context.fillStyle = c.flow;
    let drawn = 0;
    for (const { stations } of flows) {
      if (stations[stations.length - 1] < first || stations[0] > last) continue;
      if (++drawn > 120) break;
      // The one on which the cursor is stands out.
      const here = cursor >= stations[0] && cursor <= stations[stations.length - 1];
      context.globalAlpha = here ? 1 : 0.45;
      context.lineWidth = here ? 2 : 1;
      const radius = here ? 3.5 : last - first > DETAIL ? 1.5 : 2.5;
      let before: [number, number] | null = null;
      for (const record of stations) {
        const row = rows[rowOf[run.lane[record]]];
        if (!row) continue;
        const px = x(Painter.position(run, clock, record) + (clock === "record" ? 0.5 : 0));
        const y = (run.kind[record] === HARDWARE ? row.top + row.height - 7 : row.top + 2 + LEVEL / 2) - scroll;
        if (before) {
          context.beginPath();
          context.moveTo(...before);
          const bend = Math.max(8, Math.abs(px - before[0]) / 2);
          context.bezierCurveTo(before[0] + bend, before[1], px - bend, y, px, y);
          context.stroke();
        }
        context.beginPath();
        context.arc(px, y, radius, 0, 7);
        context.fill();
        before = [px, y];
      }
    }
    context.restore();
  }

  private bands(
    context: CanvasRenderingContext2D, width: number, x: (position: number) => number, clock: "record" | "time", phases: Phase[], c: Colors,
  ): void {
    const { run } = this;
    context.fillStyle = c.paper;
    context.fillRect(0, 0, width, BAND);
    let until = 0;
    for (const phase of phases) {
      const left = Math.max(LABELS, x(Painter.position(run, clock, phase.from)));
      const right = Math.min(width, x(Painter.position(run, clock, phase.to)));
      if (right < LABELS || left > width) continue;
      context.fillStyle = c.band;
      context.fillRect(left, 1, Math.max(2, right - left), BAND - 3);
      const room = Math.max(right - left, 0);
      if (room > 30 && left >= until - 1) {
        context.save();
        context.beginPath();
        context.rect(left, 0, room, BAND);
        context.clip();
        context.fillStyle = c.ink;
        context.fillText(phase.label, left + 4, BAND / 2);
        context.restore();
        until = right;
      }
    }
    context.fillStyle = c.line;
    context.fillRect(0, BAND - 1, width, 1);
  }

  private labels(context: CanvasRenderingContext2D, height: number, rows: Row[], scroll: number, c: Colors): void {
    context.fillStyle = c.paper;
    context.fillRect(0, BAND, LABELS, height);
    context.save();
    context.beginPath();
    context.rect(0, BAND, LABELS, height);
    context.clip();
    for (const row of rows) {
      const y = row.top - scroll;
      if (y > height || y + row.height < BAND) continue;
      context.fillStyle = row.group ? c.muted : c.ink;
      context.fillText(row.label, row.group ? 4 : 10, y + Math.min(row.height / 2, 10));
      context.fillStyle = c.line;
      context.fillRect(0, y + row.height - 1, LABELS, 1);
    }
    context.restore();
    context.fillRect(LABELS - 1, 0, 1, height);
  }
}
