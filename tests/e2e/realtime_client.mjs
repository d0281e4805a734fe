// An unmodified @supabase/realtime-js in Node, driven line by line.
//
// node realtime_client.mjs <package> <socket url> <topic> <ack: true|false>
// Writes one JSON line for each thing that happens; reads commands as JSON lines:
// {"send": [event, payload]}, {"bytes": numbers} (a ping of them), {"token": text},
// {"track": object}, {"again": true} (a fresh subscription) or {"leave": true}.
import { createInterface } from "node:readline";
import { createRequire } from "node:module";
import WebSocket from "ws";

const [pkg, url, topic, ack] = process.argv.slice(2);
const { RealtimeClient } = createRequire(import.meta.url)(pkg);
const tell = (what) => process.stdout.write(JSON.stringify(what) + "\n");
process.on("uncaughtException", (error) => tell({ thrown: String(error) }));
process.on("unhandledRejection", (error) => tell({ thrown: String(error) }));

const client = new RealtimeClient(url, { transport: WebSocket, params: { apikey: "none" } });
let channel;
function subscribe() {
  channel = client.channel(topic, { config: { broadcast: { ack: ack === "true" } } });
  channel.on("broadcast", { event: "*" }, (message) => tell({ heard: message }));
  channel.subscribe((state, error) => tell({ state, error: error ? String(error) : null }));
}
subscribe();

for await (const line of createInterface({ input: process.stdin })) {
  const command = JSON.parse(line);
  if (command.send) {
    const [event, payload] = command.send;
    channel.send({ type: "broadcast", event, payload }).then((sent) => tell({ sent }));
  }
  if (command.bytes) {
    const payload = new Uint8Array(command.bytes).buffer;
    channel.send({ type: "broadcast", event: "ping", payload }).then((sent) => tell({ sent }));
  }
  if (command.token) client.setAuth(command.token).then(() => tell({ token: true }));
  if (command.track) channel.track(command.track).then((tracked) => tell({ tracked }));
  if (command.again) {
    await client.removeAllChannels();
    subscribe();
  }
  if (command.leave) client.removeChannel(channel).then((left) => tell({ left }));
}
