// An unmodified phoenix.js in Node, driven line by line.
//
// node phoenix_client.mjs <package> <socket url> <topic> <first join payload> [<options>]
// Payload and options are JSON. Options: those of Socket, except `poll` (use long-poll),
// `twice` (join by a second Channel object once the first has joined) and `origin`.
// Writes one JSON line for each thing that happens; reads commands as JSON lines:
// {"push": [event, payload]}, {"beat": true}, {"leave": true} or {"state": true}. The join
// payload carries the cursor of what was seen last, as docs/wire.md asks of clients.
import { createInterface } from "node:readline";
import WebSocket from "ws";

const [pkg, url, topic, first, more] = process.argv.slice(2);
const { Socket, LongPoll } = await import(pkg);
const { poll, twice, origin, ...options } = JSON.parse(more ?? "{}");
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");

class FromPage extends WebSocket {
  constructor(address, protocols) {
    super(address, protocols, { origin });
  }
}

const kept = new Map();
const sessionStorage = { getItem: (k) => kept.get(k) ?? null, setItem: (k, v) => kept.set(k, v) };
const transport = poll ? LongPoll : origin ? FromPage : WebSocket;

let payload = JSON.parse(first);
let log = null;
let seq = 0;

const socket = new Socket(url, { transport, sessionStorage, ...options });
const via = () => (socket.conn instanceof LongPoll ? "longpoll" : "websocket");
socket.onOpen(() => tell({ open: via() }));
socket.onClose((event) => tell({ closed: event.code ?? null }));
socket.onError(() => tell({ failed: true }));
socket.onMessage((message) => {
  if (message.topic === "phoenix") tell({ beat: message.payload.status });
});
socket.connect();

const joinPayload = () => (log === null ? payload : { previews: payload.previews, after: `${log}-${seq}` });

function follow(name) {
  const channel = socket.channel(topic, joinPayload);
  channel.on("progress", (event) => {
    seq = event.seq;
    tell({ event, name });
  });
  channel.on("status", (status) => tell({ status }));
  channel.on("image_response", (response) => tell({ response }));
  channel.on("preview_ready", (ready) => tell({ ready }));
  channel.on("preview", (data) => {
    const bytes = new Uint8Array(data);
    const length = new DataView(data).getUint32(0);
    const header = JSON.parse(new TextDecoder().decode(bytes.slice(4, 4 + length)));
    tell({ preview: header, bytes: bytes.length - 4 - length });
  });
  channel.onClose(() => tell({ channelClosed: name }));
  channel
    .join()
    .receive("ok", (reply) => {
      log = reply.log;
      seq = Number(reply.cursor.split("-")[1]);
      tell({ joined: reply, via: via(), name });
      if (twice && name === 1) channel_ = follow(2);
    })
    .receive("error", (reply) => tell({ refused: reply }));
  return channel;
}

let channel_ = follow(1);

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.push) {
    channel_
      .push(...command.push)
      .receive("ok", (reply) => tell({ ok: reply }))
      .receive("error", (reply) => tell({ error: reply }));
  }
  if (command.beat) socket.sendHeartbeat();
  if (command.leave) channel_.leave().receive("ok", () => tell({ left: true }));
  if (command.state) {
    tell({ state: channel_.state, connected: socket.isConnected(), retries: socket.reconnectTimer.timer != null });
  }
  if (command.end) break;
}
socket.disconnect(() => process.exit(0), 1000);
setTimeout(() => process.exit(0), 500).unref();
