// A list of which only the rows in sight are there.

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";

interface Props {
  count: number;
  height: number;
  /** A row that is to be in sight. */
  at: number;
  /** Changes when `at` is to be brought into sight. */
  moved: unknown;
  label: string;
  role?: "tree" | "listbox" | "list";
  row(i: number): ComponentChildren;
  head?: ComponentChildren;
  class?: string;
  active?: string | undefined;
}

export function Window(props: Props): JSX.Element {
  const { count, height, at, moved } = props;
  const box = useRef<HTMLDivElement>(null);
  const [top, setTop] = useState(0);
  const [tall, setTall] = useState(400);
  useEffect(() => {
    const element = box.current;
    if (!element) return;
    const observer = new ResizeObserver(() => setTall(element.clientHeight));
    observer.observe(element);
    return () => observer.disconnect();
  }, []);
  useLayoutEffect(() => {
    const element = box.current;
    if (!element || at < 0) return;
    const [from, to] = [element.scrollTop, element.scrollTop + element.clientHeight];
    const y = at * height;
    if (y < from + height || y > to - 2 * height) {
      element.scrollTop = Math.max(0, y - element.clientHeight * 0.4);
      setTop(element.scrollTop);
    }
  }, [at, moved, count]);
  const first = Math.max(0, Math.floor(top / height) - 4);
  const last = Math.min(count, Math.ceil((top + tall) / height) + 4);
  const rows: ComponentChildren[] = [];
  for (let i = first; i < last; i++) rows.push(props.row(i));
  return (
    <div
      ref={box}
      class={`window ${props.class ?? ""}`}
      role={props.role ?? "list"}
      aria-label={props.label}
      aria-activedescendant={props.active}
      tabIndex={0}
      onScroll={(event) => setTop(event.currentTarget.scrollTop)}
    >
      {props.head}
      <div class="rows" role="presentation" style={{ height: `${count * height}px` }}>
        <div role="presentation" style={{ transform: `translateY(${first * height}px)` }}>{rows}</div>
      </div>
    </div>
  );
}
