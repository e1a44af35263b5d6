// For working on the page: serves it as its sources are, and passes everything else on to a vejr server.
//
//     node serve.mjs [PORT [SERVER]]       8081 http://127.0.0.1:8080

import { createServer, request } from "node:http";
import { bundle } from "./build.mjs";

const [port = "8081", server = "http://127.0.0.1:8080"] = process.argv.slice(2);
const TYPES = {
  html: "text/html",
  js: "text/javascript",
  css: "text/css",
  svg: "image/svg+xml",
  json: "application/json",
  txt: "text/plain",
};
let files = await bundle();

createServer(async (asked, answer) => {
  const path = new URL(asked.url, server).pathname;
  if (path !== "/" && !path.startsWith("/assets/")) {
    const options = { method: asked.method, headers: asked.headers };
    const passed = request(new URL(asked.url, server), options, (from) => {
      answer.writeHead(from.statusCode, from.headers);
      from.pipe(answer);
    });
    passed.on("error", () => answer.writeHead(502).end());
    answer.on("close", () => passed.destroy());
    asked.pipe(passed);
    return;
  }
  // what does not build is told by the bundler, and the page stays as it was
  if (path === "/") files = await bundle().catch(() => files);
  const name = path === "/" ? "index.html" : path.slice("/assets/".length);
  const bytes = files.get(name);
  const type = TYPES[name.split(".").pop()] ?? "application/octet-stream";
  if (bytes)
    answer.writeHead(200, { "content-type": `${type}; charset=utf-8`, "cache-control": "no-store" }).end(bytes);
  else answer.writeHead(404).end();
}).listen(Number(port), "127.0.0.1", () => console.log(`http://127.0.0.1:${port}/`));
