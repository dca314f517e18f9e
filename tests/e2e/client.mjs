// Sends messages to an echo server and closes with 1000. Argument: JSON with
// `url`, `compression` and perhaps `ca`, a file. Prints what happened as JSON.

import { readFileSync } from "node:fs";
import WebSocket from "ws";

const { url, compression, ca } = JSON.parse(process.argv[2]);
const messages = [
  "Hello, Wörld! 🎈",
  "",
  Buffer.from([0, 1, 2, 253, 254, 255]),
  Buffer.alloc(2 ** 20, "0123456789abcdef"),
  "é".repeat(2 ** 19),
];
const echoes = [];
const socket = new WebSocket(url, {
  perMessageDeflate: compression && { threshold: 0 },
  ca: ca && readFileSync(ca),
});

function check(data, isBinary) {
  const sent = messages[echoes.length];
  const same = isBinary ? Buffer.compare(data, sent) === 0 : data.toString() === sent;
  echoes.push({ isBinary, same, size: data.length });
  if (echoes.length === messages.length) socket.close(1000, "done");
}

socket.on("open", () => messages.forEach((message) => socket.send(message)));
socket.on("message", check);
socket.on("error", (error) => {
  console.error(error.message);
  process.exitCode = 1;
});
socket.on("close", (code, reason) => {
  const extensions = socket.extensions;
  console.log(JSON.stringify({ extensions, echoes, code, reason: reason.toString() }));
});
