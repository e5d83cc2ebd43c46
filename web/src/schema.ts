// The JSON of docs/page-schema.md.

export type Cell = null | number | boolean | string;

export interface About {
  file?: string;
  line?: number;
  shown: boolean;
  plumbing?: boolean;
  text?: string;
}

export type Is = "enter" | "exit" | "tracepoint" | "hardware" | "warning";

export interface Of {
  is: Is;
  name: string;
  fields: string[];
}

export interface LaneData {
  name: string;
  kind: "cpu" | "task" | "device";
  cpu?: number;
}

export interface CommandData {
  record: number;
  line: string;
  number: number;
}

export interface RunData {
  kernel: string;
  name: string;
  set: string[];
  cpus: number;
  cmdline: string;
  commands: CommandData[];
  about: Record<string, About>;
  of: Of[];
  lanes: LaneData[];
  contexts: { actor: string; lane: number; number: number }[];
  records: {
    of: number[];
    context: number[];
    cpu: number[];
    time: number[];
    parent: number[];
    irq: number[];
    lane: number[];
    values: Cell[];
  };
  state: {
    objects: [string, string][];
    fields: [number, string][];
    start: [number, Cell][];
    changes: { record: number[]; field: number[]; old: Cell[]; new: Cell[] };
  };
  terminal: string[];
  /** Assertions that did not hold, and what else was wrong. */
  wrong: { record: number; text: string }[];
}

/** Why two runs differ: a behaviour, and where it shows. */
export interface Cause {
  field: string;
  /** What it decides. */
  doc: string;
  left: string;
  right: string;
  /** The function that differs, and its file. */
  function: string;
  file: string;
  /** The release or commit that changed it, as far as it is known. */
  changed: string;
  shows: { at: string; what: string }[];
}

export interface QuestionData {
  ask: string;
  /** The station at which the answer can be seen. */
  at: string;
  /** What there is to choose from; none where a text is asked for. */
  choices: string[];
  /** The number of the right choice, or the text. */
  answer: number | string;
  hint: string;
}

export interface LessonData {
  number: number;
  title: string;
  text: string;
  stations: { name: string; record: number; place: string }[];
  questions: QuestionData[];
}

export interface ExhibitData {
  id: string;
  title: string;
  story: string;
  schedule?: string;
}

export interface PageData {
  schema: string;
  version: number;
  title: string;
  runs: RunData[];
  causes?: Cause[];
  /** Functions that the second kernel has under another name. */
  renamed?: [string, string][];
  lesson?: LessonData;
  exhibit?: ExhibitData;
}
