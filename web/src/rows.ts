// The call tree as a list of rows, of which only those in sight are drawn.

import { after, ENTER, EXIT, HARDWARE, Run } from "./run";

export const RECORD = 0;
/** Whose stack follows. */
export const HEAD = 1;
/** So many records are not shown. */
export const COUNT = 2;

export class Rows {
  readonly length: number;
  readonly kind: Uint8Array;
  /** The record; of a head the one that follows; of a count the first that is not shown. */
  readonly record: Uint32Array;
  readonly depth: Uint8Array;
  readonly count: Uint32Array;

  constructor(
    private readonly run: Run,
    folded: ReadonlySet<number>,
    wanted: ((record: number) => boolean) | null,
  ) {
    const n = run.length;
    const [kind, record, depth, count] = [new Uint8Array(2 * n), new Uint32Array(2 * n), new Uint8Array(2 * n), new Uint32Array(2 * n)];
    const inner = children(run);
    const level = new Uint8Array(n);
    let length = 0;
    let [context, cpu] = [-2, -1];
    const hidden = new Map<number, number>();
    let left = 0;
    const push = (k: number, r: number, d: number, c = 0) => {
      kind[length] = k;
      record[length] = r;
      depth[length] = d;
      count[length++] = c;
    };
    for (let i = 0; i < n; i++) {
      const parent = run.parent[i];
      const exit = run.kind[i] === EXIT;
      level[i] = exit ? level[parent] : parent < 0 ? 0 : level[parent] + (!wanted || wanted(parent) ? 1 : 0);
      // What lies within a folded call.
      const until = hidden.get(run.context[i]);
      if (until !== undefined) {
        if (i < until) continue;
        hidden.delete(run.context[i]);
        if (exit) continue;
      }
      if (exit && (inner[parent] === 0 || wanted)) continue;
      if (wanted && !wanted(i)) {
        left++;
        continue;
      }
      if (left > 0) {
        push(COUNT, i - 1, level[i], left);
        left = 0;
      }
      if (run.context[i] !== context || (run.context[i] >= 0 && run.cpu[i] !== cpu)) {
        [context, cpu] = [run.context[i], run.cpu[i]];
        push(HEAD, i, 0);
      }
      push(RECORD, i, level[i]);
      if (run.kind[i] === ENTER && folded.has(i)) hidden.set(run.context[i], run.end[i]);
    }
    if (left > 0) push(COUNT, n - 1, 0, left);
    this.length = length;
    this.kind = kind.subarray(0, length);
    this.record = record.subarray(0, length);
    this.depth = depth.subarray(0, length);
    this.count = count.subarray(0, length);
  }

  /** The row of a record, or the last one before it. */
  of(record: number): number {
    const { run } = this;
    let at = after(this.record, record) - 1;
    while (at > 0 && this.kind[at] !== RECORD) at--;
    if (at >= 0 && this.record[at] === record) return at;
    // A return that has no row stands at its call.
    if (run.kind[record] === EXIT) {
      const call = after(this.record, run.parent[record]) - 1;
      if (call >= 0 && this.record[call] === run.parent[record]) return call;
    }
    return Math.max(0, at);
  }
}

/** Calls in which something else was recorded. */
export function children(run: Run): Uint8Array {
  const inner = new Uint8Array(run.length);
  for (let i = 0; i < run.length; i++) {
    const parent = run.parent[i];
    if (parent >= 0 && run.kind[i] !== EXIT) inner[parent] = 1;
  }
  return inner;
}

/** What somebody is shown who does not know the code: functions of which something is told, and the stations of messages. */
export function forBeginners(run: Run): (record: number) => boolean {
  const told = run.data.of.map((of) => {
    const about = run.about(of.name);
    if (of.is === "hardware") return ["hw::message", "hw::irr", "hw::isr", "hw::eoi"].includes(of.name);
    return of.is === "warning" || (of.is === "enter" && about?.text !== undefined && about.shown);
  });
  return (record) => told[run.of[record]] && run.kind[record] !== EXIT && (run.kind[record] !== HARDWARE || run.depth[record] < 40);
}
