// As much of Markdown as lessons and stories have: paragraphs, headings, lists, code, bold; `[name]` is a station.

import type { ComponentChildren, JSX } from "preact";

type Link = (name: string) => ComponentChildren;

function inline(text: string, link: Link): ComponentChildren[] {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\[[\w .-]+\](?!\())/).map((part, i) => {
    if (i % 2 === 0) return part;
    if (part.startsWith("`")) return <code key={i}>{part.slice(1, -1)}</code>;
    if (part.startsWith("**")) return <b key={i}>{part.slice(2, -2)}</b>;
    return <span key={i}>{link(part.slice(1, -1))}</span>;
  });
}

export function Markdown({ text, link }: { text: string; link: Link }): JSX.Element {
  const blocks = text.split(/\n{2,}/).filter((block) => block.trim() !== "");
  return (
    <>
      {blocks.map((block, i) => {
        const lines = block.split("\n");
        if (block.startsWith("```")) return <pre key={i}>{lines.slice(1).filter((line) => !line.startsWith("```")).join("\n")}</pre>;
        if (/^#+ /.test(block)) return <h3 key={i}>{inline(block.replace(/^#+ /, ""), link)}</h3>;
        if (lines.every((line) => /^(- | {2})/.test(line))) {
          const items = block.split(/\n(?=- )/).map((item) => item.replace(/^- /, ""));
          return <ul key={i}>{items.map((item, j) => <li key={j}>{inline(item, link)}</li>)}</ul>;
        }
        if (lines.every((line) => line.startsWith("    "))) return <pre key={i}>{lines.map((line) => line.slice(4)).join("\n")}</pre>;
        return <p key={i}>{inline(block, link)}</p>;
      })}
    </>
  );
}
