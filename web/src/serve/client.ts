// What the server is asked, and what it answers (docs/serve.md).

import type { PageData } from "../schema";
import { checked } from "../unpack";

export interface Where {
  line: number;
  column: number;
  end_line: number;
  end_column: number;
  label: string;
}

export interface Mistake {
  message: string;
  help: string | null;
  place: Where | null;
}

/** Where a session stands: `records` is how many of the page come before it. */
export interface Place {
  step: number;
  end: number;
  records: number;
  busy: boolean;
}

export interface Opened extends Place {
  session: number;
  name: string;
  kernel: string;
  cpus: number;
  machine: string;
  script: string | null;
  closed: number[];
}

export interface Answer extends Place {
  text: string;
  incomplete: boolean;
  failed: boolean;
  stopped: string | null;
  quit: boolean;
  save: { file: string; text: string } | { file: string; base64: string } | null;
}

export interface Wanted {
  machine?: string;
  text?: string;
  exhibit?: string;
  kernel?: string;
  set?: string[];
}

export interface Choices {
  kernels: string[];
  machines: { name: string; title: string }[];
  exhibits: { name: string; title: string }[];
  behaviours: { name: string; text: string; values: string[]; of: string[] }[];
}

/** An answer that is no success. */
export class Refused extends Error {
  constructor(
    readonly status: number,
    readonly mistake: Mistake,
  ) {
    super(mistake.help ? `${mistake.message}; ${mistake.help}` : mistake.message);
  }
}

async function answered(response: Response): Promise<Response> {
  if (response.ok) return response;
  const text = await response.text();
  let mistake: Mistake = { message: text.trim() || `the server answers ${response.status}`, help: null, place: null };
  try {
    mistake = (JSON.parse(text) as { error: Mistake }).error;
  } catch {
    // A sentence as it is.
  }
  throw new Refused(response.status, mistake);
}

async function ask(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(path, { credentials: "same-origin", ...init });
  } catch {
    throw new Refused(0, { message: "the server does not answer: it may have ended", help: null, place: null });
  }
  return answered(response);
}

async function post<T>(path: string, body: object): Promise<T> {
  const headers = { "Content-Type": "application/json" };
  return (await ask(path, { method: "POST", headers, body: JSON.stringify(body) })).json() as Promise<T>;
}

export const server = {
  choices: async (): Promise<Choices> => (await ask("/api/choices")).json() as Promise<Choices>,
  open: (wanted: Wanted): Promise<Opened> => post("/api/open", wanted),
  line: (session: number, line: string): Promise<Answer> => post("/api/line", { session, line }),
  check: async (texts: { script?: string; machine?: string }): Promise<Mistake[]> =>
    (await post<{ mistakes: Mistake[] }>("/api/check", texts)).mistakes,
  interrupt: (session: number): Promise<object> => post("/api/interrupt", { session }),
  close: (session: number): Promise<object> => post("/api/close", { session }),
  page: async (session: number): Promise<PageData> =>
    checked((await (await ask(`/api/page?session=${session}`)).json()) as PageData),
  share: async (session: number): Promise<Blob> => (await ask(`/api/share?session=${session}`)).blob(),
};
