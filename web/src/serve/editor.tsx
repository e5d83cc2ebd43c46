// A text in which a mistake is marked where it is.

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { type Mistake, Refused, server, type Where } from "./client";

/** The place of a mistake in a text, in UTF-16 units. */
export function span(text: string, place: Where): [number, number] {
  const lines = text.split("\n");
  const at = (line: number, column: number): number => {
    const before = lines.slice(0, line - 1).reduce((sum, it) => sum + it.length + 1, 0);
    // Columns are counted in characters.
    const inside = [...(lines[line - 1] ?? "")].slice(0, column - 1).join("").length;
    return Math.min(text.length, before + inside);
  };
  const from = at(place.line, place.column);
  return [from, Math.max(from, at(place.end_line, place.end_column))];
}

interface Props {
  name: string;
  kind: "script" | "machine";
  text: string;
  change: (text: string) => void;
  run?: () => void;
}

export function Editor({ name, kind, text, change, run }: Props): JSX.Element {
  const [mistake, setMistake] = useState<Mistake | null | undefined>(undefined);
  const behind = useRef<HTMLPreElement>(null);
  useEffect(() => {
    let over = false;
    // Until the answer is there nobody knows.
    setMistake(undefined);
    const wait = setTimeout(async () => {
      try {
        const [first] = await server.check({ [kind]: text });
        if (!over) setMistake(first ?? null);
      } catch (error) {
        if (!over) setMistake(error instanceof Refused ? error.mistake : undefined);
      }
    }, 200);
    return () => {
      over = true;
      clearTimeout(wait);
    };
  }, [text, kind]);
  const place = mistake?.place ?? null;
  const [from, to] = place ? span(text, place) : [text.length, text.length];
  const id = `editor-${kind}`;
  return (
    <div class="editor">
      <div class="field">
        <pre ref={behind} aria-hidden="true">
          {text.slice(0, from)}
          {place && <mark>{text.slice(from, to) || " "}</mark>}
          {text.slice(to)}
          {"\n"}
        </pre>
        <textarea
          aria-label={name}
          aria-invalid={mistake != null}
          aria-describedby={id}
          spellcheck={false}
          value={text}
          onInput={(event) => change(event.currentTarget.value)}
          onScroll={(event) => {
            if (!behind.current) return;
            behind.current.scrollTop = event.currentTarget.scrollTop;
            behind.current.scrollLeft = event.currentTarget.scrollLeft;
          }}
          onKeyDown={(event) => {
            if (run && event.key === "Enter" && event.ctrlKey) run();
          }}
        />
      </div>
      <p id={id} class={mistake ? "mistake" : "muted"} role="status">
        {mistake ? told(mistake) : mistake === null && text.trim() !== "" ? "no mistakes" : ""}
      </p>
    </div>
  );
}

/** A mistake in a line. */
export function told({ message, help, place }: Mistake): string {
  const where = place ? `line ${place.line}, column ${place.column}: ` : "";
  const label = place?.label ? `; ${place.label}` : "";
  return `${where}${message}${label}${help ? `; ${help}` : ""}`;
}
