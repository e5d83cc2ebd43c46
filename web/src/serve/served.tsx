// The page with a prompt: a session of the server, and the page of what was done in it.

import { render, type JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { App } from "../app";
import { Store } from "../store";
import { type Choices, type Opened, type Place, Refused, server, type Wanted } from "./client";
import { Editor, told } from "./editor";
import { Opening } from "./opening";

/** Pieces of output that are kept. */
const MOST = 500;

interface Piece {
  kind: "typed" | "said" | "failed";
  text: string;
}

type Panel = "prompt" | "script" | "open";

interface Shown {
  session: Opened;
  store: Store;
  /** Counts the pages, each of which is drawn anew. */
  version: number;
}

function Served({ choices, first }: { choices: Choices; first: Shown }): JSX.Element {
  const [shown, setShown] = useState(first);
  const [place, setPlace] = useState<Place>(first.session);
  const [pieces, setPieces] = useState<Piece[]>([]);
  const [panel, setPanel] = useState<Panel>("prompt");
  const [running, setRunning] = useState(false);
  const [line, setLine] = useState("");
  const [pending, setPending] = useState("");
  const [script, setScript] = useState("");
  const [wanted, setWanted] = useState<Wanted>({});
  const typed = useRef<string[]>([]);
  const back = useRef(0);
  const log = useRef<HTMLDivElement>(null);
  const input = useRef<HTMLInputElement>(null);

  useEffect(() => {
    if (log.current) log.current.scrollTop = log.current.scrollHeight;
  }, [pieces, panel]);
  useEffect(() => {
    if (!running && panel === "prompt") input.current?.focus();
  }, [running, panel]);

  const say = (...more: Piece[]): void => setPieces((before) => [...before, ...more].slice(-MOST));
  const complain = (error: unknown): void => {
    const gone = error instanceof Refused && error.status === 410;
    say({ kind: "failed", text: `${error instanceof Refused ? told(error.mistake) : String(error)}\n` });
    if (gone) setPanel("open");
  };

  /** Shows what was done so far, with the cursor where the session stands. */
  const show = async (session: Opened, at: Place): Promise<void> => {
    const store = new Store(await server.page(session.session));
    shown.store.close();
    store.go(at.records - 1);
    setShown(({ version }) => ({ session, store, version: version + 1 }));
    expose(store);
  };

  const send = async (session: Opened, text: string, before: Place): Promise<void> => {
    const answer = await server.line(session.session, text);
    if (answer.incomplete) {
      setPending(`${text}\n`);
      return;
    }
    setPending("");
    if (answer.text) say({ kind: answer.failed ? "failed" : "said", text: answer.text });
    if (answer.save) download(answer.save.file, "text" in answer.save ? answer.save.text : bytes(answer.save.base64));
    if (answer.quit) say({ kind: "said", text: "This window is closed like any other; the server ends with Ctrl-C.\n" });
    setPlace(answer);
    const { step, end, records } = answer;
    if (step !== before.step || end !== before.end || records !== before.records) await show(session, answer);
  };

  const work = async (what: () => Promise<void>): Promise<void> => {
    setRunning(true);
    try {
      await what();
    } catch (error) {
      complain(error);
    } finally {
      setRunning(false);
    }
  };

  const open = async (what: Wanted): Promise<Opened> => {
    const session = await server.open(what);
    void server.close(shown.session.session).catch(() => undefined);
    setWanted(what);
    setPending("");
    setPlace(session);
    say({ kind: "said", text: `Linux ${session.kernel} on ${session.name}; :help lists the words of the lab\n` });
    await show(session, session);
    return session;
  };

  const enter = (event: Event): void => {
    event.preventDefault();
    if (running) return;
    const text = pending + line;
    if (line.trim() !== "") typed.current.push(line);
    back.current = 0;
    say({ kind: "typed", text: `${pending === "" ? "#" : ">"} ${line}\n` });
    setLine("");
    void work(() => send(shown.session, text, place));
  };

  const run = (): void => {
    if (running || script.trim() === "") return;
    setPanel("prompt");
    void work(async () => {
      const session = await open(wanted);
      say({ kind: "typed", text: `${script.trimEnd().split("\n").map((it) => `# ${it}`).join("\n")}\n` });
      await send(session, `${script.trimEnd()}\n`, session);
    });
  };

  const opened = (what: Wanted): void => {
    void work(async () => {
      const session = await open(what);
      if (session.script !== null) setScript(session.script);
      setPanel(session.script === null ? "prompt" : "script");
    });
  };

  const share = (): void => void work(async () => download("irqlab.html", await server.share(shown.session.session)));
  const stop = (): void => void server.interrupt(shown.session.session).catch(complain);
  const key = (event: KeyboardEvent): void => {
    const { selectionStart, selectionEnd } = event.currentTarget as HTMLInputElement;
    if (event.key === "c" && event.ctrlKey && selectionStart === selectionEnd) {
      if (running) stop();
      else [setLine, setPending].forEach((set) => set(""));
      event.preventDefault();
    } else if (event.key === "ArrowUp" || event.key === "ArrowDown") {
      const to = back.current + (event.key === "ArrowUp" ? 1 : -1);
      if (to < 0 || to > typed.current.length) return;
      back.current = to;
      setLine(to === 0 ? "" : typed.current[typed.current.length - to]);
      event.preventDefault();
    }
  };

  const tab = (which: Panel, name: string): JSX.Element => (
    <button role="tab" id={`tab-${which}`} aria-controls="served-panel" aria-selected={panel === which} onClick={() => setPanel(which)}>
      {name}
    </button>
  );
  return (
    <div class="served">
      <div class="run"><App store={shown.store} key={shown.version} /></div>
      <section class="prompt" aria-label="Session">
        <div class="bar">
          <div role="tablist" aria-label="Session">{tab("prompt", "prompt")}{tab("script", "script")}{tab("open", "open")}</div>
          <span class="muted grow">
            {shown.session.kernel} · {shown.session.name} · step {place.step}{place.step < place.end && ` of ${place.end}`}
            {place.busy && " · in the middle of a command"}{running && " · running"}
          </span>
          <button onClick={stop} disabled={!running}>stop</button>
          <button onClick={share} disabled={running}>share as a file</button>
        </div>
        <div role="tabpanel" id="served-panel" aria-labelledby={`tab-${panel}`}>
          {panel === "prompt" && (
            <form onSubmit={enter} onClick={() => getSelection()?.isCollapsed && input.current?.focus()}>
              <div class="log" role="log" aria-label="What was typed and printed" tabIndex={0} ref={log}>
                {pieces.map((piece, n) => <span key={n} class={piece.kind}>{piece.text}</span>)}
              </div>
              <label class="line">
                <span>{pending !== "" ? ">" : place.busy ? `(step ${place.step}) #` : "#"}</span>
                <input
                  ref={input} type="text" aria-label="Command" value={line} autocomplete="off" autocapitalize="off" spellcheck={false}
                  placeholder={pieces.length === 0 ? "a command such as `cat /proc/interrupts`, `:break irq_startup`, `:help`" : ""}
                  onInput={(event) => setLine(event.currentTarget.value)} onKeyDown={key}
                />
              </label>
            </form>
          )}
          {panel === "script" && (
            <div class="script">
              <Editor name="Script" kind="script" text={script} change={setScript} run={run} />
              <p><button onClick={run} disabled={running || script.trim() === ""} title="Ctrl Enter">run on a machine that has just booted</button></p>
            </div>
          )}
          {panel === "open" && <Opening choices={choices} machine={shown.session.machine} busy={running} open={opened} />}
        </div>
      </section>
    </div>
  );
}

/** What Base64 stands for. */
function bytes(text: string): Uint8Array<ArrayBuffer> {
  return Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
}

/** Gives the browser something to save. */
function download(name: string, content: BlobPart): void {
  const address = URL.createObjectURL(new Blob([content], { type: typeof content === "string" ? "text/plain" : "application/octet-stream" }));
  const link = Object.assign(document.createElement("a"), { href: address, download: name });
  link.click();
  URL.revokeObjectURL(address);
}

/** For whoever tests the page. */
function expose(store: Store): void {
  Object.assign(window, { irqlab: { store, ready: performance.now() } });
}

/** Opens the first machine, and shows its boot. */
export async function serve(root: HTMLElement): Promise<void> {
  const [choices, session] = await Promise.all([server.choices(), server.open({})]);
  const store = new Store(await server.page(session.session));
  if (location.hash === "") store.go(session.records - 1);
  root.replaceChildren();
  render(<Served choices={choices} first={{ session, store, version: 0 }} />, root);
  expose(store);
}
