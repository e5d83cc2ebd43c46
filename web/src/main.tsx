// Unpacks the data and shows it.

import { render } from "preact";
import { App } from "./app";
import { serve } from "./serve/served";
import { Store } from "./store";
import { embedded, NoPage } from "./unpack";

const root = document.getElementById("app");

async function main(): Promise<void> {
  if (!root) return;
  const began = performance.now();
  try {
    const page = await embedded();
    if (!page) {
      if (!location.protocol.startsWith("http")) throw new NoPage("There is no run in this page.");
      await serve(root);
      return;
    }
    const store = new Store(page);
    root.replaceChildren();
    render(<App store={store} />, root);
    // For whoever measures or tests the page.
    Object.assign(window, { irqlab: { store, ready: performance.now() - began } });
  } catch (error) {
    const message = error instanceof NoPage ? error.message : `This page cannot be shown: ${String(error)}`;
    root.replaceChildren(Object.assign(document.createElement("p"), { className: "wait", textContent: message }));
    if (!(error instanceof NoPage)) throw error;
  }
}

void main();
