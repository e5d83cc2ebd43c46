// Builds the viewer into one file: crates/page/viewer.html. With --check it only compares.
import { build } from "esbuild";
import { readFile, writeFile } from "node:fs/promises";

const target = new URL("../crates/page/viewer.html", import.meta.url);
const options = {
  bundle: true,
  minify: true,
  charset: "utf8",
  legalComments: "none",
  target: "es2022",
  write: false,
  absWorkingDir: new URL(".", import.meta.url).pathname,
};
const script = await build({
  ...options,
  entryPoints: ["src/main.tsx"],
  format: "iife",
  jsx: "automatic",
  jsxImportSource: "preact",
});
const style = await build({ ...options, entryPoints: ["src/style.css"] });
const frame = await readFile(new URL("src/frame.html", import.meta.url), "utf8");
const text = (result) => result.outputFiles[0].text.trim().replaceAll("</script", "<\\/script");
const page = frame
  .replace("@STYLE@", () => text(style))
  .replace("@SCRIPT@", () => text(script));

if (process.argv.includes("--check")) {
  if ((await readFile(target, "utf8")) !== page) {
    console.error("crates/page/viewer.html is not what web/ builds: run `npm run build` in web/");
    process.exit(1);
  }
  console.log("crates/page/viewer.html is what web/ builds");
} else {
  await writeFile(target, page);
  console.log(`crates/page/viewer.html: ${Math.ceil(page.length / 1000)} kB`);
}
