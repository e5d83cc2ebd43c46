// From the text in the page to the data.

import type { PageData } from "./schema";

/** Unpacks gzip. */
async function unzip(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return new Response(stream).text();
}

function decode(base64: string): Uint8Array<ArrayBuffer> {
  const text = atob(base64.trim());
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

/** Data that is not what this viewer reads; the message says what it is. */
export class NoPage extends Error {}

export function checked(data: PageData): PageData {
  if (data.schema !== "irqlab-page" || data.version !== 1) {
    throw new NoPage(
      `This viewer reads version 1 of irqlab-page; the data is version ${data.version} of ${data.schema}.`,
    );
  }
  return data;
}

/** The data that the page has in itself; nothing where a server sends it. */
export async function embedded(): Promise<PageData | null> {
  const text = document.getElementById("data")?.textContent ?? "";
  if (text.trim() === "") return null;
  return checked(JSON.parse(await unzip(decode(text))) as PageData);
}
