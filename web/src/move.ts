// Where the cursor goes.

import { ENTER, Run } from "./run";

/** The next call, or the one before: over what is called in this one. */
export function call(run: Run, record: number, forward: boolean): number {
  if (forward) {
    // Over a call: to what comes behind its return.
    let at = run.kind[record] === ENTER && run.end[record] < run.length ? run.end[record] + 1 : record + 1;
    while (at < run.length && run.kind[at] !== ENTER) at++;
    return Math.min(at, run.length - 1);
  }
  const context = run.context[record];
  for (let at = record - 1; at >= 0; at--) {
    if (run.kind[at] !== ENTER) continue;
    // Back over a call that is over, or out to the one around.
    if (run.context[at] !== context || run.depth[at] <= run.depth[record]) return at;
  }
  return 0;
}

/** The beginning of what another stack does next, or of what this one did. */
export function step(run: Run, record: number, forward: boolean): number {
  const { context } = run;
  if (forward) {
    let at = record + 1;
    while (at < run.length && context[at] === context[record]) at++;
    return Math.min(at, run.length - 1);
  }
  let at = record;
  if (at > 0 && context[at - 1] !== context[at]) at--;
  while (at > 0 && context[at - 1] === context[at]) at--;
  return at;
}
