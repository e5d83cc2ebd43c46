// A run, made ready for looking at any record quickly.

import type { About, Cell, CommandData, Is, LaneData, Of, RunData } from "./schema";

/** A change of a place of the state. */
export interface Change {
  record: number;
  place: number;
  old: Cell;
  now: Cell;
}

/** The first index at which `values` exceeds `value`. */
export function after(values: ArrayLike<number>, value: number, from = 0, to = values.length): number {
  while (from < to) {
    const middle = (from + to) >>> 1;
    if (values[middle] <= value) from = middle + 1;
    else to = middle;
  }
  return from;
}

export class Run {
  readonly length: number;
  readonly of: Uint32Array;
  readonly context: Int32Array;
  readonly cpu: Uint32Array;
  /** Virtual time in ns. */
  readonly time: Float64Array;
  /** The record at which the call around it began, or the call that returns; -1 where there is none. */
  readonly parent: Int32Array;
  /** The interrupt that it is about, or -1. */
  readonly irq: Int32Array;
  readonly lane: Int16Array;
  /** How many calls are around it. */
  readonly depth: Uint8Array;
  /** Of a call the record of its return; of one that does not return the length of the run. */
  readonly end: Uint32Array;
  /** What each record is: 0 enter, 1 exit, 2 tracepoint, 3 hardware, 4 warning. */
  readonly kind: Uint8Array;
  readonly state: States;
  private readonly first: Uint32Array;
  private readonly numbers: Map<number, number>;

  constructor(readonly data: RunData) {
    const { records, of, contexts } = data;
    this.numbers = new Map(contexts.map((context, i) => [context.number, i]));
    const n = (this.length = records.of.length);
    this.of = Uint32Array.from(records.of);
    this.context = Int32Array.from(records.context);
    this.cpu = Uint32Array.from(records.cpu);
    this.time = new Float64Array(n);
    this.parent = new Int32Array(n);
    this.irq = new Int32Array(n);
    this.lane = new Int16Array(n);
    this.depth = new Uint8Array(n);
    this.end = new Uint32Array(n).fill(n);
    this.kind = new Uint8Array(n);
    this.first = new Uint32Array(n + 1);
    const kinds = Uint8Array.from(of, (it) => KINDS.indexOf(it.is));
    const counts = Uint32Array.from(of, (it) => it.fields.length);
    let time = 0;
    let value = 0;
    for (let i = 0; i < n; i++) {
      time += records.time[i];
      this.time[i] = time;
      const kind = (this.kind[i] = kinds[this.of[i]]);
      this.first[i] = value;
      value += counts[this.of[i]];
      this.irq[i] = records.irq[i] - 1;
      const context = this.context[i];
      const lane = records.lane[i];
      this.lane[i] = lane >= 0 ? lane : context >= 0 ? contexts[context].lane : 0;
      const parent = (this.parent[i] = records.parent[i] === 0 ? -1 : i - records.parent[i]);
      if (parent < 0) continue;
      if (kind === EXIT) {
        this.end[parent] = i;
        this.depth[i] = this.depth[parent];
      } else {
        this.depth[i] = Math.min(this.depth[parent] + 1, 255);
      }
    }
    this.first[n] = value;
    this.state = new States(data, n);
  }

  get lanes(): LaneData[] {
    return this.data.lanes;
  }

  get commands(): CommandData[] {
    return this.data.commands;
  }

  what(record: number): Of {
    return this.data.of[this.of[record]];
  }

  is(record: number): Is {
    return this.what(record).is;
  }

  name(record: number): string {
    return this.what(record).name;
  }

  about(name: string): About | undefined {
    return this.data.about[name];
  }

  /** The values of a record, by name. */
  values(record: number): [string, Cell][] {
    const { fields } = this.what(record);
    const first = this.first[record];
    return fields.map((field, i) => [field, this.data.records.values[first + i]]);
  }

  value(record: number, field: string): Cell | undefined {
    const at = this.what(record).fields.indexOf(field);
    return at < 0 ? undefined : this.data.records.values[this.first[record] + at];
  }

  /** The stack that the recorder gave a number. */
  contextOf(number: number): number {
    return this.numbers.get(number) ?? -1;
  }

  /** Who acts. */
  actor(record: number): string {
    const context = this.context[record];
    return context < 0 ? "hardware" : this.data.contexts[context].actor;
  }

  /** The call in which a record lies: the record itself, where it is a call. */
  call(record: number): number {
    if (this.kind[record] === ENTER) return record;
    return this.parent[record];
  }

  /** The calls around a record, outermost first, and the one that it is. */
  stack(record: number): number[] {
    const stack: number[] = [];
    for (let at = this.call(record); at >= 0; at = this.parent[at]) stack.push(at);
    return stack.reverse();
  }

  /** The call, tracepoint or return as text. */
  text(record: number): string {
    const { is, name } = this.what(record);
    const values = this.values(record)
      .filter(([, value]) => value !== null)
      .map(([field, value]) => `${field}=${shown(value)}`);
    switch (is) {
      case "enter":
        return `${name}(${values.join(", ")})`;
      case "exit":
        return `${name}() returns${values.length > 0 ? ` ${returned(this.value(record, "ret") ?? null)}` : ""}`;
      case "tracepoint":
      case "hardware":
        return `${name}: ${values.join(" ")}`;
      case "warning":
        return name;
    }
  }
}

export const KINDS: Is[] = ["enter", "exit", "tracepoint", "hardware", "warning"];
export const ENTER = 0;
export const EXIT = 1;
export const TRACEPOINT = 2;
export const HARDWARE = 3;
export const WARNING = 4;

/** The errors of the model (kstate/src/errno.rs). */
const ERRORS: Record<number, string> = {
  1: "EPERM", 2: "ENOENT", 4: "EINTR", 5: "EIO", 6: "ENXIO", 7: "E2BIG", 11: "EAGAIN", 12: "ENOMEM", 13: "EACCES",
  16: "EBUSY", 17: "EEXIST", 19: "ENODEV", 20: "ENOTDIR", 21: "EISDIR", 22: "EINVAL", 27: "EFBIG", 28: "ENOSPC",
  30: "EROFS", 33: "EDOM", 34: "ERANGE", 38: "ENOSYS", 75: "EOVERFLOW", 95: "EOPNOTSUPP", 102: "ENETRESET",
  110: "ETIMEDOUT", 125: "ECANCELED", 517: "EPROBE_DEFER", 524: "ENOTSUPP",
};

export function returned(value: Cell): string {
  if (typeof value === "number" && value < 0 && ERRORS[-value]) return `${value} (${ERRORS[-value]})`;
  return shown(value);
}

export function shown(value: Cell): string {
  if (value === null) return "–";
  if (typeof value === "boolean") return value ? "1" : "0";
  return String(value);
}

/** Something of the machine that has values. */
export interface Thing {
  kind: string;
  name: string;
  /** The places of its fields. */
  places: Map<string, number>;
}

/** The state at every record. */
export class States {
  readonly things: Thing[];
  /** The record of each change. */
  readonly record: Uint32Array;
  readonly place: Uint32Array;
  private readonly old: Cell[];
  private readonly now: Cell[];
  private readonly start: Cell[];
  /** Where the changes of each place begin in `order`. */
  private readonly begin: Uint32Array;
  /** The changes, place by place. */
  private readonly order: Uint32Array;
  private readonly byKind = new Map<string, Thing[]>();
  private readonly byName = new Map<string, Thing>();

  constructor(
    private readonly data: RunData,
    readonly records: number,
  ) {
    const { objects, fields, start, changes } = data.state;
    this.things = objects.map(([kind, name]) => ({ kind, name, places: new Map<string, number>() }));
    for (const thing of this.things) {
      this.byName.set(`${thing.kind} ${thing.name}`, thing);
      const same = this.byKind.get(thing.kind);
      if (same) same.push(thing);
      else this.byKind.set(thing.kind, [thing]);
    }
    fields.forEach(([object, field], place) => this.things[object].places.set(field, place));
    this.start = new Array<Cell>(fields.length).fill(null);
    for (const [place, value] of start) this.start[place] = value;
    this.old = changes.old;
    this.now = changes.new;
    this.place = Uint32Array.from(changes.field);
    const n = this.place.length;
    this.record = new Uint32Array(n);
    this.begin = new Uint32Array(fields.length + 1);
    let record = 0;
    for (let i = 0; i < n; i++) {
      record += changes.record[i];
      this.record[i] = record;
      this.begin[this.place[i] + 1]++;
    }
    for (let i = 0; i < fields.length; i++) this.begin[i + 1] += this.begin[i];
    this.order = new Uint32Array(n);
    const next = this.begin.slice();
    for (let i = 0; i < n; i++) this.order[next[this.place[i]]++] = i;
  }

  all(kind: string): Thing[] {
    return this.byKind.get(kind) ?? [];
  }

  thing(kind: string, name: string | number): Thing | undefined {
    return this.byName.get(`${kind} ${name}`);
  }

  /** The object and the field of a place. */
  owner(place: number): { thing: Thing; field: string } {
    const [object, field] = this.data.state.fields[place];
    return { thing: this.things[object], field };
  }

  /** The place in `order` behind the last change of a place up to a record. */
  private until(place: number, record: number): number {
    let [from, to] = [this.begin[place], this.begin[place + 1]];
    while (from < to) {
      const middle = (from + to) >>> 1;
      if (this.record[this.order[middle]] <= record) from = middle + 1;
      else to = middle;
    }
    return from;
  }

  /** A value at a record. */
  at(place: number | undefined, record: number): Cell {
    if (place === undefined) return null;
    const until = this.until(place, record);
    return until === this.begin[place] ? this.start[place] : this.now[this.order[until - 1]];
  }

  /** A field's value at a record. */
  get(thing: Thing | undefined, field: string, record: number): Cell {
    return this.at(thing?.places.get(field), record);
  }

  /** The last change of a place up to a record. */
  last(place: number, record: number): Change | null {
    const until = this.until(place, record);
    return until === this.begin[place] ? null : this.change(this.order[until - 1]);
  }

  /** The next change of a place behind a record. */
  next(place: number, record: number): Change | null {
    const until = this.until(place, record);
    return until === this.begin[place + 1] ? null : this.change(this.order[until]);
  }

  private change(i: number): Change {
    return { record: this.record[i], place: this.place[i], old: this.old[i], now: this.now[i] };
  }

  /** What changed at a record. */
  changes(record: number): Change[] {
    const found: Change[] = [];
    for (let i = after(this.record, record - 1); i < this.record.length && this.record[i] === record; i++) {
      found.push(this.change(i));
    }
    return found;
  }

  /** Something has a value at a record. */
  exists(thing: Thing, record: number): boolean {
    for (const place of thing.places.values()) if (this.at(place, record) !== null) return true;
    return false;
  }

  /** A place was ever something. */
  wasEver(place: number): boolean {
    return this.start[place] !== null || this.begin[place] !== this.begin[place + 1];
  }
}
