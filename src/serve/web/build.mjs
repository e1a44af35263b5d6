// From the page's sources to the files that the binary carries.
//
//     node build.mjs [FOLDER]        (dist/ where no folder is named)
//
// Names hold a digest of what is in the file, so that browsers may keep it for good. Each file is there three times: as it
// is, and compressed for browsers that take gzip or brotli.

import { mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { brotliCompress, constants, gzip } from "node:zlib";
import { build } from "esbuild";

const here = fileURLToPath(new URL(".", import.meta.url));
const ASSETS = "/assets/";
/** Below, a compressed copy saves nothing. */
const WORTH_COMPRESSING = 1024;

const common = {
  absWorkingDir: here,
  bundle: true,
  minify: true,
  format: "esm",
  target: "es2022",
  write: false,
  outdir: ".",
  entryNames: "[name]-[hash]",
  chunkNames: "[name]-[hash]",
  assetNames: "[name]-[hash]",
  publicPath: ASSETS,
  // what must be told of licences is told in one place
  legalComments: "none",
  // outlines are files to fetch, not parts of the program
  loader: { ".json": "file", ".svg": "file" },
  logLevel: "warning",
};

/** The files, by name. */
export async function bundle() {
  const files = new Map();
  const add = (result) => {
    for (const { path, contents } of result.outputFiles) files.set(basename(path), Buffer.from(contents));
  };
  const named = (start, ending) =>
    ASSETS + [...files.keys()].find((name) => name.startsWith(`${start}-`) && name.endsWith(ending));
  add(await build({ ...common, entryPoints: [{ in: "maplibre-gl/dist/maplibre-gl-worker.mjs", out: "worker" }] }));
  files.set("licences.txt", Buffer.from(await licences()));
  const define = { WORKER: JSON.stringify(named("worker", ".js")), LICENCES: JSON.stringify(`${ASSETS}licences.txt`) };
  const entryPoints = ["src/main.ts", "src/early.ts"];
  const program = await build({ ...common, entryPoints, splitting: true, metafile: true, define });
  add(program);
  add(await build({ ...common, entryPoints: ["style.css"] }));
  files.set("icon.svg", await readFile(join(here, "icon.svg")));
  const page = await readFile(join(here, "index.html"), "utf8");
  const names = { EARLY: named("early", ".js"), MAIN: named("main", ".js"), STYLE: named("style", ".css") };
  const parts = { ...names, SHARED: shared(program.metafile).join("\n") };
  files.set("index.html", Buffer.from(page.replace(/\{\{(\w+)\}\}/g, (_, name) => parts[name])));
  return files;
}

/** What the page's programs import: named in the page, it is there with them and not after them. */
function shared({ outputs }) {
  const imported = Object.values(outputs)
    .filter(({ entryPoint }) => entryPoint)
    .flatMap(({ imports }) => imports.filter(({ kind }) => kind === "import-statement"));
  const paths = new Set(imported.map(({ path }) => ASSETS + basename(path)));
  return [...paths].map((path) => `<link rel="modulepreload" href="${path}">`);
}

/** The licences of all that is bundled: of the packages that are installed to run, and not only to build. */
async function licences() {
  const lock = JSON.parse(await readFile(join(here, "package-lock.json"), "utf8"));
  const parts = ["The map page contains the following works.\n"];
  for (const [path, { version, license, dev, optional }] of Object.entries(lock.packages)) {
    if (path === "" || dev || optional || path === "node_modules/esbuild") continue;
    const name = path.replace(/^.*node_modules\//, "");
    const texts = ["LICENSE", "LICENSE.txt", "LICENSE.md", "LICENCE", "license", "LICENSE-MIT"].map((file) =>
      readFile(join(here, path, file), "utf8").catch(() => null),
    );
    const text = (await Promise.all(texts)).find((found) => found !== null);
    parts.push(`${"=".repeat(72)}\n${name} ${version}: ${license ?? "see below"}\n\n${text ?? ""}`);
  }
  parts.push(`${"=".repeat(72)}\nNatural Earth (naturalearthdata.com), the outlines in world-atlas: public domain\n`);
  return parts.join("\n");
}

async function main(folder) {
  const files = await bundle();
  await rm(folder, { recursive: true, force: true });
  await mkdir(folder, { recursive: true });
  const [zip, brotli] = [promisify(gzip), promisify(brotliCompress)];
  const write = async ([name, bytes]) => {
    await writeFile(join(folder, name), bytes);
    if (bytes.length < WORTH_COMPRESSING) return;
    // the highest quality takes minutes for the finest outlines, and saves a few percent
    const quality = bytes.length > 2 ** 21 ? 9 : 11;
    const parameters = { params: { [constants.BROTLI_PARAM_QUALITY]: quality } };
    await writeFile(join(folder, `${name}.gz`), await zip(bytes, { level: 9 }));
    await writeFile(join(folder, `${name}.br`), await brotli(bytes, parameters));
  };
  await Promise.all([...files].map(write));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await main(process.argv[2] ?? join(here, "dist"));
