// Two runs beside each other: which call of the one is which call of the other.

import { ENTER, HARDWARE, Run, TRACEPOINT, WARNING } from "./run";
import type { Cause } from "./schema";

/** A line of the comparison: a record of each run, or of one; and the behaviour behind a difference. */
export interface Pair {
  left: number;
  right: number;
  depth: number;
  /** Values that differ, or a call that only one of them has. */
  differs: boolean;
  because: string[];
}

/** The most that two lists are compared step by step. */
const MOST = 4_000_000;

/** How far a counterpart is looked for among what has none by name. */
const NEAR = 8;

/** The longest list that both have, as pairs of places. */
export function common(a: string[], b: string[]): [number, number][] {
  const pairs: [number, number][] = [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) pairs.push([start, start++]);
  let [endA, endB] = [a.length, b.length];
  const tail: [number, number][] = [];
  while (endA > start && endB > start && a[endA - 1] === b[endB - 1]) tail.push([--endA, --endB]);
  const [n, m] = [endA - start, endB - start];
  if (n > 0 && m > 0 && n * m <= MOST) {
    const width = m + 1;
    const table = new Uint16Array((n + 1) * width);
    for (let i = n - 1; i >= 0; i--) {
      for (let j = m - 1; j >= 0; j--) {
        table[i * width + j] =
          a[start + i] === b[start + j]
            ? table[(i + 1) * width + j + 1] + 1
            : Math.max(table[(i + 1) * width + j], table[i * width + j + 1]);
      }
    }
    let [i, j] = [0, 0];
    while (i < n && j < m) {
      if (a[start + i] === b[start + j]) pairs.push([start + i++, start + j++]);
      else if (table[(i + 1) * width + j] >= table[i * width + j + 1]) i++;
      else j++;
    }
  } else if (n > 0 && m > 0) {
    greedy(a, b, start, endA, endB, pairs);
  }
  return pairs.concat(tail.reverse());
}

/** For lists too long for a table: what comes next in the other one, where it is near. */
function greedy(
  a: string[], b: string[], start: number, endA: number, endB: number, pairs: [number, number][],
): void {
  const near = 400;
  let [i, j] = [start, start];
  while (i < endA && j < endB) {
    if (a[i] === b[j]) {
      pairs.push([i++, j++]);
      continue;
    }
    let found = false;
    for (let d = 1; d < near && !found; d++) {
      if (j + d < endB && b[j + d] === a[i]) [j, found] = [j + d, true];
      else if (i + d < endA && a[i + d] === b[j]) [i, found] = [i + d, true];
    }
    if (!found) [i, j] = [i + 1, j + 1];
  }
}

/** Who acts, without what is numbered differently. */
function owner(run: Run, record: number): string {
  return run.actor(record).replace(/^irq \d+/, "irq");
}

/** Which records a kernel's tracer would show. */
function isShown(run: Run, record: number): boolean {
  const kind = run.kind[record];
  if (kind === TRACEPOINT || kind === WARNING) return true;
  const about = run.about(run.name(record));
  return kind === ENTER && about !== undefined && about.shown && !about.plumbing;
}

/** A call tree of what is shown: the children of each shown call, and the outermost ones under -1. */
function trees(run: Run): Map<number, number[]> {
  const children = new Map<number, number[]>([[-1, []]]);
  const shownParent = new Int32Array(run.length).fill(-1);
  for (let i = 0; i < run.length; i++) {
    const parent = run.parent[i];
    if (run.kind[i] === HARDWARE) continue;
    const above = parent < 0 ? -1 : isShown(run, parent) ? parent : shownParent[parent];
    shownParent[i] = above;
    if (!isShown(run, i)) continue;
    const list = children.get(above);
    if (list) list.push(i);
    else children.set(above, [i]);
  }
  return children;
}

export class Pairs {
  readonly rows: Pair[] = [];
  private readonly rowOf: [Int32Array, Int32Array];
  private readonly trees: [Map<number, number[]>, Map<number, number[]>];
  /** What the older run calls a function that the other one calls differently. */
  private readonly older: Map<string, string>;

  constructor(
    private readonly left: Run,
    private readonly right: Run,
    private readonly causes: Cause[],
    renamed: [string, string][],
  ) {
    this.older = new Map(renamed.map(([was, is]) => [is, was]));
    this.trees = [trees(left), trees(right)];
    this.merge(this.trees[0].get(-1) ?? [], this.trees[1].get(-1) ?? [], 0, []);
    this.rowOf = [new Int32Array(left.length).fill(-1), new Int32Array(right.length).fill(-1)];
    this.rows.forEach((pair, i) => {
      if (pair.left >= 0) this.rowOf[0][pair.left] = i;
      if (pair.right >= 0) this.rowOf[1][pair.right] = i;
    });
  }

  /** By which name a call is looked for in the other run. */
  private key(run: Run, record: number, depth: number): string {
    const name = run.name(record);
    const known = this.older.get(name) ?? name;
    return depth === 0 ? `${owner(run, record)} ${known}` : known;
  }

  /** Aligns what is called in one place; `at` is what the places where they are called are called. */
  private merge(ours: number[], theirs: number[], depth: number, at: string[]): void {
    const x = ours.map((record) => this.key(this.left, record, depth));
    const y = theirs.map((record) => this.key(this.right, record, depth));
    let [i, j] = [0, 0];
    for (const [to, too] of common(x, y)) {
      this.gap(ours.slice(i, to), theirs.slice(j, too), depth, at);
      this.both(ours[to], theirs[too], depth, at);
      [i, j] = [to + 1, too + 1];
    }
    this.gap(ours.slice(i), theirs.slice(j), depth, at);
  }

  /** What has no counterpart by name: it may have one under another name, or one function more around it. */
  private gap(ours: number[], theirs: number[], depth: number, at: string[]): void {
    while (ours.length > 0 && theirs.length > 0) {
      const [left, right] = [ours[0], theirs[0]];
      const [inLeft, inRight] = [this.trees[0].get(left) ?? [], this.trees[1].get(right) ?? []];
      if (this.likeness(inLeft, inRight) * 2 >= Math.max(inLeft.length, inRight.length, 1)) {
        this.both(left, right, depth, at);
        [ours, theirs] = [ours.slice(1), theirs.slice(1)];
      } else if (this.likeness(ours, inRight) * 2 >= Math.max(1, inRight.length)) {
        this.rows.push({ left: -1, right, depth, differs: true, because: this.because(at, `+${this.right.name(right)}`) });
        const many = Math.min(ours.length, inRight.length);
        this.merge(ours.slice(0, many), inRight, depth + 1, at);
        [ours, theirs] = [ours.slice(many), theirs.slice(1)];
      } else if (this.likeness(inLeft, theirs) * 2 >= Math.max(1, inLeft.length)) {
        this.rows.push({ left, right: -1, depth, differs: true, because: this.because(at, `-${this.left.name(left)}`) });
        const many = Math.min(theirs.length, inLeft.length);
        this.merge(inLeft, theirs.slice(0, many), depth + 1, at);
        [ours, theirs] = [ours.slice(1), theirs.slice(many)];
      } else {
        // What has nothing to do with what comes near it is alone.
        const [skipLeft, skipRight] = this.skip(ours, theirs);
        for (const record of ours.slice(0, skipLeft)) this.alone(0, record, depth, at);
        for (const record of theirs.slice(0, skipRight)) this.alone(1, record, depth, at);
        [ours, theirs] = [ours.slice(skipLeft), theirs.slice(skipRight)];
      }
    }
    for (const record of ours) this.alone(0, record, depth, at);
    for (const record of theirs) this.alone(1, record, depth, at);
  }

  /** How many at the beginning of each list have no counterpart near the beginning of the other. */
  private skip(ours: number[], theirs: number[]): [number, number] {
    const related = (left: number, right: number) => {
      const [inLeft, inRight] = [this.trees[0].get(left) ?? [], this.trees[1].get(right) ?? []];
      const enough = (found: number, of: number) => found > 0 && found * 2 >= of;
      return (
        enough(this.likeness(inLeft, inRight), Math.max(inLeft.length, inRight.length)) ||
        enough(this.likeness([left], inRight), inRight.length) ||
        enough(this.likeness(inLeft, [right]), inLeft.length)
      );
    };
    for (let d = 1; d < NEAR; d++) {
      if (d < ours.length && related(ours[d], theirs[0])) return [d, 0];
      if (d < theirs.length && related(ours[0], theirs[d])) return [0, d];
    }
    return [1, 1];
  }

  /** How many calls two lists have in common. */
  private likeness(ours: number[], theirs: number[]): number {
    if (ours.length === 0 || theirs.length === 0 || ours.length * theirs.length > MOST / 100) return 0;
    const names = (run: Run, records: number[]) => records.map((record) => this.key(run, record, 1));
    return common(names(this.left, ours), names(this.right, theirs)).length;
  }

  private both(left: number, right: number, depth: number, at: string[]): void {
    const [name, other] = [this.left.name(left), this.right.name(right)];
    const because = new Set<string>();
    let differs = false;
    if (name !== other) {
      differs = true;
      for (const field of this.because(at, `~${name} | ${other}`)) because.add(field);
    }
    if (this.left.kind[left] === TRACEPOINT) {
      for (const [field, value] of this.left.values(left)) {
        const theirs = this.right.value(right, field);
        if (theirs === undefined || theirs === value) continue;
        differs = true;
        for (const cause of this.because([`@ ${name}`], field)) because.add(cause);
      }
    }
    this.rows.push({ left, right, depth, differs, because: [...because] });
    const below = name === other ? [name] : [name, other];
    this.merge(this.trees[0].get(left) ?? [], this.trees[1].get(right) ?? [], depth + 1, below);
  }

  /** A call that only one run has, with what it calls. */
  private alone(side: 0 | 1, record: number, depth: number, at: string[], known: string[] = []): void {
    const run = side === 0 ? this.left : this.right;
    const name = run.name(record);
    const what = `${side === 0 ? "-" : "+"}${run.kind[record] === TRACEPOINT ? "@ " : ""}${name}`;
    const own = this.because(at.length > 0 ? at : [owner(run, record).split(" ")[0]], what);
    // What is called in it is there for the same reason.
    const because = own.length > 0 ? own : known;
    this.rows.push({ left: side === 0 ? record : -1, right: side === 1 ? record : -1, depth, differs: true, because });
    for (const child of this.trees[side].get(record) ?? []) this.alone(side, child, depth + 1, [name], because);
  }

  private because(at: string[], what: string): string[] {
    const shows = (mark: { at: string; what: string }) => mark.what === what && mark.at.split(" | ").some((name) => at.includes(name));
    return this.causes.filter((cause) => cause.shows.some(shows)).map((cause) => cause.field);
  }

  /** The row of a record, or of the call around it that has one. */
  row(side: number, record: number): number {
    const run = side === 0 ? this.left : this.right;
    const of = this.rowOf[side];
    if (of[record] >= 0) return of[record];
    for (let at = run.call(record); at >= 0; at = run.parent[at]) if (of[at] >= 0) return of[at];
    for (let at = record; at >= 0; at--) if (of[at] >= 0) return of[at];
    return 0;
  }

  /** The record of the other run that belongs to one of this. */
  other(side: number, record: number): number | null {
    for (let at = this.row(side, record); at >= 0; at--) {
      const pair = this.rows[at];
      if (pair === undefined) return null;
      if (pair.left >= 0 && pair.right >= 0) return side === 0 ? pair.right : pair.left;
    }
    return null;
  }
}
