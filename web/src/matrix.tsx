// The vector matrix as a map of CPUs and vectors.

import type { JSX, TargetedKeyboardEvent } from "preact";
import { useEffect, useMemo, useRef, useState } from "preact/hooks";
import { fitted } from "./lanes";
import { Run, shown } from "./run";
import type { Cell } from "./schema";
import { Store, useStore } from "./store";
import { Field, Jumps } from "./value";

const WIDE = 15;
const HIGH = 16;
const LEFT = 40;
const HEAD = 34;
const GAP = 9;

/** The vectors that are ever anything on some CPU, and gaps between them. */
interface Columns {
  vectors: number[];
  at: Map<number, number>;
  width: number;
  gaps: [number, number][];
  /** Vectors that are the system's throughout and lie together: place, first and last. */
  systems: [number, number, number][];
}

function columns(run: Run): Columns {
  const { state } = run;
  const used = new Set<number>();
  for (const cpu of state.all("cpu")) {
    for (const [field, place] of cpu.places) {
      if (field.startsWith("vector/") && state.wasEver(place)) used.add(Number(field.slice(7)));
    }
  }
  const vectors = [...used].sort((a, b) => a - b);
  const at = new Map<number, number>();
  const gaps: [number, number][] = [];
  let x = LEFT;
  let before = 0x1f;
  for (const vector of vectors) {
    if (vector > before + 1) {
      gaps.push([x, vector - before - 1]);
      x += GAP;
    }
    at.set(vector, x);
    x += WIDE;
    before = vector;
  }
  const end = state.get(state.thing("matrix", ""), "system", run.length);
  const system = typeof end === "string" ? end.split(" ").map(Number).filter((vector) => vector > before) : [];
  const systems: [number, number, number][] = [];
  for (const vector of system) {
    const last = systems[systems.length - 1];
    if (last && last[2] === vector - 1) last[2] = vector;
    else systems.push([0, vector, vector]);
  }
  for (const run of systems) {
    gaps.push([x, 0]);
    x += GAP;
    run[0] = x;
    x += WIDE;
  }
  return { vectors, at, width: x + 2, gaps, systems };
}

/** The letter of a cell. */
function letter(cell: Cell, system: boolean): string {
  if (typeof cell !== "string") return system ? "S" : "";
  const first = cell[0];
  // The system's vectors are allocated on every CPU.
  if (system && first === "A" && cell.length === 1) return "S";
  return first === "A" || first === "M" || first === "m" ? first : /^\d/.test(cell) ? "v" : first;
}

const WORDS: Record<string, string> = {
  S: "the system's", A: "allocated", M: "kept for a managed interrupt, and allocated", m: "kept for a managed interrupt",
  v: "only in vector_irq", x: "shut down", r: "retriggered", "": "free",
};

export function Matrix({ store }: { store: Store }): JSX.Element {
  const view = useStore(store);
  const { run, record, irq } = store;
  const { state } = run;
  const { vectors, at, width, gaps, systems } = useMemo(() => columns(run), [run]);
  const cpus = useMemo(() => state.all("cpu").slice().sort((a, b) => Number(a.name) - Number(b.name)), [run]);
  const canvas = useRef<HTMLCanvasElement>(null);
  const own = irq === null ? undefined : state.thing("irq", irq);
  const [cell, setCell] = useState<[number, number] | null>(null);
  const matrix = state.thing("matrix", "");
  const system = new Set(String(state.get(matrix, "system", record) ?? "").split(" ").map(Number));
  const height = HEAD + cpus.length * HIGH + 2;
  const here: [number, number] = cell ?? [Number(state.get(own, "cpu", record) ?? cpus[0]?.name ?? 0), Number(state.get(own, "vector", record) ?? vectors[0] ?? 0)];
  useEffect(() => {
    const context = canvas.current && fitted(canvas.current, [width, height]);
    if (!context || !canvas.current) return;
    const style = getComputedStyle(canvas.current);
    const of = (name: string) => style.getPropertyValue(`--${name}`).trim();
    const fill: Record<string, string> = { S: of("system"), A: of("assigned"), M: of("managed"), m: of("reserved"), v: of("band"), x: of("shut"), r: of("shut") };
    context.clearRect(0, 0, width, height);
    context.font = "11px ui-monospace, monospace";
    context.textAlign = "center";
    context.textBaseline = "middle";
    context.fillStyle = of("muted");
    for (const vector of vectors) {
      context.save();
      context.translate((at.get(vector) ?? 0) + WIDE / 2, HEAD - 4);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(String(vector), 0, 0);
      context.restore();
    }
    for (const [x, first, last] of systems) {
      context.save();
      context.translate(x + WIDE / 2, HEAD - 4);
      context.rotate(-Math.PI / 2);
      context.textAlign = "left";
      context.fillText(first === last ? String(first) : `${first}…`, 0, 0);
      context.restore();
    }
    context.fillStyle = of("line");
    for (const [x] of gaps) context.fillRect(x + GAP / 2, HEAD, 1, cpus.length * HIGH);
    cpus.forEach((cpu, i) => {
      const y = HEAD + i * HIGH;
      const online = state.get(cpu, "matrix_online", record) === true;
      context.textAlign = "right";
      context.fillStyle = online ? of("ink") : of("muted");
      context.fillText(`cpu${cpu.name}`, LEFT - 4, y + HIGH / 2);
      context.textAlign = "center";
      for (const vector of vectors) {
        const place = cpu.places.get(`vector/${vector}`);
        const value = state.at(place, record);
        const sign = letter(value, system.has(vector));
        const x = at.get(vector) ?? 0;
        if (sign !== "") {
          context.fillStyle = fill[sign] ?? of("band");
          context.globalAlpha = online ? 1 : 0.45;
          context.fillRect(x + 1, y + 1, WIDE - 2, HIGH - 2);
          context.globalAlpha = 1;
        }
        context.fillStyle = sign === "" ? of("muted") : of("ink");
        context.fillText(sign === "" ? "·" : sign, x + WIDE / 2, y + HIGH / 2 + 0.5);
        if (place !== undefined && state.last(place, record)?.record === record) {
          context.strokeStyle = of("changed");
          context.lineWidth = 2;
          context.strokeRect(x + 1, y + 1, WIDE - 2, HIGH - 2);
        }
        if (irq !== null && typeof value === "string" && value.replace(/^[AMm]/, "") === String(irq)) {
          context.strokeStyle = of("flow");
          context.lineWidth = 1.5;
          context.strokeRect(x + 2.5, y + 2.5, WIDE - 5, HIGH - 5);
        }
      }
    });
    for (const [x, first] of systems) {
      cpus.forEach((_, i) => {
        if (!system.has(first)) return;
        context.fillStyle = of("system");
        context.fillRect(x + 1, HEAD + i * HIGH + 1, WIDE - 2, HIGH - 2);
        context.fillStyle = of("ink");
        context.fillText("S", x + WIDE / 2, HEAD + i * HIGH + HIGH / 2 + 0.5);
      });
    }
    const x = at.get(here[1]);
    const row = cpus.findIndex((cpu) => Number(cpu.name) === here[0]);
    if (x !== undefined && row >= 0) {
      context.strokeStyle = of("cursor");
      context.lineWidth = 2;
      context.strokeRect(x, HEAD + row * HIGH, WIDE, HIGH);
    }
  }, [run, record, irq, here[0], here[1], view.theme, width, height]);
  const hit = (event: { offsetX: number; offsetY: number }): [number, number] | null => {
    const cpu = cpus[Math.floor((event.offsetY - HEAD) / HIGH)];
    const vector = vectors.find((it) => event.offsetX >= (at.get(it) ?? 0) && event.offsetX < (at.get(it) ?? 0) + WIDE);
    return cpu && vector !== undefined ? [Number(cpu.name), vector] : null;
  };
  const keys = (event: TargetedKeyboardEvent<HTMLDivElement>) => {
    const [row, column] = [cpus.findIndex((cpu) => Number(cpu.name) === here[0]), vectors.indexOf(here[1])];
    const to = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!to || !event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    const cpu = cpus[Math.max(0, Math.min(cpus.length - 1, row + to[0]))];
    const vector = vectors[Math.max(0, Math.min(vectors.length - 1, column + to[1]))];
    if (cpu && vector !== undefined) setCell([Number(cpu.name), vector]);
  };
  const thing = state.thing("cpu", here[0]);
  const place = thing?.places.get(`vector/${here[1]}`);
  const value = state.at(place, record);
  const holder = typeof value === "string" ? /\d+$/.exec(value)?.[0] : undefined;
  return (
    <>
      <div class="matrix" tabIndex={0} role="group" aria-label="Vectors of each CPU; Alt and arrows move the cell" onKeyDown={keys}>
        <canvas
          ref={canvas}
          role="img"
          aria-label={`Matrix of ${cpus.length} CPUs and ${vectors.length} vectors that are used`}
          onPointerMove={(event) => {
            const found = hit(event);
            event.currentTarget.title = found ? about(store, found, system) : "";
          }}
          onClick={(event) => {
            const found = hit(event);
            if (!found) return;
            setCell(found);
            const it = state.get(state.thing("cpu", found[0]), `vector/${found[1]}`, record);
            const of = typeof it === "string" ? /\d+$/.exec(it)?.[0] : undefined;
            if (of !== undefined) store.set({ irq: Number(of) });
          }}
        />
      </div>
      <p class="cell" aria-live="polite">
        CPU {here[0]}, vector {here[1]}: {WORDS[letter(value, system.has(here[1]))] ?? shown(value)}
        {holder !== undefined && <> · irq <button class="link" onClick={() => store.set({ irq: Number(holder), tab: "interrupt" })}>{holder}</button></>}
        <Jumps store={store} place={place} name={`vector ${here[1]} of CPU ${here[0]}`} />
      </p>
      <p class="legend" aria-hidden="true">
        <b class="S">S</b> system <b class="A">A</b> allocated <b class="m">m</b> kept for managed <b class="M">M</b> managed, in use <b>·</b> free
      </p>
      <table class="fields">
        <tbody>
          {matrix && (
            <>
              <Field store={store} thing={matrix} field="online_maps" label="CPUs online" />
              <Field store={store} thing={matrix} field="global_available" label="global available" />
              <Field store={store} thing={matrix} field="global_reserved" label="global reserved" />
              <Field store={store} thing={matrix} field="total_allocated" label="total allocated" />
            </>
          )}
          {thing && (
            <>
              <Field store={store} thing={thing} field="available" label={`CPU ${here[0]}: available`} />
              <Field store={store} thing={thing} field="allocated" label="allocated" />
              <Field store={store} thing={thing} field="managed" label="managed" />
              <Field store={store} thing={thing} field="managed_allocated" label="managed, allocated" />
              <Field store={store} thing={thing} field="cleanup" label="to be cleaned up" />
            </>
          )}
        </tbody>
      </table>
    </>
  );
}

function about(store: Store, [cpu, vector]: [number, number], system: Set<number>): string {
  const { state } = store.run;
  const value = state.get(state.thing("cpu", cpu), `vector/${vector}`, store.record);
  const holder = typeof value === "string" ? /\d+$/.exec(value)?.[0] : undefined;
  const name = holder === undefined ? "" : `, irq ${holder} ${shown(state.get(state.thing("irq", holder), "name", store.record))}`;
  return `CPU ${cpu}, vector ${vector}: ${WORDS[letter(value, system.has(vector))] ?? ""}${name}`;
}
