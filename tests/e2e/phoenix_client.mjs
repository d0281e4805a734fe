// An unmodified phoenix.js in Node, driven line by line.
//
// node phoenix_client.mjs <package> <socket url> <topic> <first join payload as JSON>
// Writes one JSON line for each thing that happens; reads commands as JSON lines:
// {"push": [event, payload]} or {"leave": true}. The join payload carries the cursor of
// what was seen last, as docs/wire.md asks of clients.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const [pkg, url, topic, first] = process.argv.slice(2);
const { Socket } = await import(pkg);
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");

let payload = JSON.parse(first);
let log = null;
let seq = 0;

const socket = new Socket(url, { transport: WebSocket });
socket.onOpen(() => tell({ open: true }));
socket.onClose((event) => tell({ closed: event.code ?? null }));
socket.connect();

const joinPayload = () => (log === null ? payload : { previews: payload.previews, after: `${log}-${seq}` });
const channel = socket.channel(topic, joinPayload);

channel.on("progress", (event) => {
  seq = event.seq;
  tell({ event });
});
channel.on("status", (status) => tell({ status }));
channel.on("image_response", (response) => tell({ response }));
channel.on("preview", (data) => {
  const bytes = new Uint8Array(data);
  const length = new DataView(data).getUint32(0);
  const header = JSON.parse(new TextDecoder().decode(bytes.slice(4, 4 + length)));
  tell({ preview: header, bytes: bytes.length - 4 - length });
});
channel.onClose(() => tell({ channelClosed: true }));

const joining = channel.join();
joining.receive("ok", (reply) => {
  log = reply.log;
  seq = Number(reply.cursor.split("-")[1]);
  tell({ joined: reply });
});
joining.receive("error", (reply) => tell({ refused: reply }));

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.push) {
    channel
      .push(...command.push)
      .receive("ok", (reply) => tell({ ok: reply }))
      .receive("error", (reply) => tell({ error: reply }));
  }
  if (command.leave) channel.leave().receive("ok", () => tell({ left: true }));
  if (command.end) break;
}
socket.disconnect(() => process.exit(0), 1000);
setTimeout(() => process.exit(0), 500).unref();
