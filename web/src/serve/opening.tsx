// What to open: a machine or an exhibit, a kernel, and behaviours to change.

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import type { Choices, Wanted } from "./client";
import { Editor } from "./editor";

/** Stands for a text that is pasted. */
const OWN = "text:";

interface Props {
  choices: Choices;
  machine: string;
  busy: boolean;
  open: (wanted: Wanted) => void;
}

export function Opening({ choices, machine, busy, open }: Props): JSX.Element {
  const [what, setWhat] = useState(`machine:${choices.machines[0]?.name ?? ""}`);
  const [kernel, setKernel] = useState("");
  const [text, setText] = useState(machine);
  const [changes, setChanges] = useState<Record<string, string>>({});
  const submit = (event: Event): void => {
    event.preventDefault();
    const [kind, ...name] = what.split(":");
    const wanted: Wanted =
      what === OWN ? { text } : kind === "exhibit" ? { exhibit: name.join(":") } : { machine: name.join(":") };
    if (kernel) wanted.kernel = kernel;
    wanted.set = Object.entries(changes).filter(([, value]) => value).map(([name, value]) => `${name}=${value}`);
    open(wanted);
  };
  const number = Object.values(changes).filter((value) => value).length;
  return (
    <form class="opening" onSubmit={submit}>
      <p>
        <label>
          open{" "}
          <select aria-label="What to open" value={what} onChange={(event) => setWhat(event.currentTarget.value)}>
            <optgroup label="Machines">
              {choices.machines.map(({ name, title }) => <option value={`machine:${name}`}>{name} ({title})</option>)}
              <option value={OWN}>a machine file, written here</option>
            </optgroup>
            <optgroup label="Exhibits of the museum">
              {choices.exhibits.map(({ name, title }) => <option value={`exhibit:${name}`}>{name}: {title}</option>)}
            </optgroup>
          </select>
        </label>{" "}
        <label>
          kernel{" "}
          <select aria-label="Kernel" value={kernel} onChange={(event) => setKernel(event.currentTarget.value)}>
            <option value="">the machine's</option>
            {choices.kernels.map((name) => <option value={name}>{name}</option>)}
          </select>
        </label>{" "}
        <button type="submit" disabled={busy}>open</button>
      </p>
      {what === OWN && <Editor name="Machine file" kind="machine" text={text} change={setText} />}
      <details>
        <summary>behaviours{number > 0 && ` (${number} changed)`}</summary>
        <ul>
          {choices.behaviours.map(({ name, text, values, of }) => (
            <li key={name}>
              <label title={text}>
                <select
                  aria-label={name}
                  value={changes[name] ?? ""}
                  onChange={(event) => setChanges({ ...changes, [name]: event.currentTarget.value })}
                >
                  <option value="">as the kernel has it</option>
                  {values.map((value) => {
                    const kernels = choices.kernels.filter((_, n) => of[n] === value);
                    return <option value={value}>{value}{kernels.length > 0 && ` (${kernels.join(", ")})`}</option>;
                  })}
                </select>{" "}
                <code>{name}</code> <span class="muted">{text}</span>
              </label>
            </li>
          ))}
        </ul>
      </details>
    </form>
  );
}
