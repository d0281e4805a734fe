// An unmodified phoenix.js that pings with bytes.
//
// node binary_client.mjs <package> <socket url> <topic>
// Writes two JSON lines: the bytes that came back from an ArrayBuffer, and what came back
// from an empty one.
import WebSocket from "ws";

const [pkg, url, topic] = process.argv.slice(2);
const { Socket } = await import(pkg);
const socket = new Socket(url, { transport: WebSocket });
socket.connect();
const channel = socket.channel(topic, {});
const tell = (answer) => console.log(JSON.stringify([...new Uint8Array(answer)]));
const ping = (bytes) =>
  new Promise((done, failed) => {
    channel
      .push("ping", new Uint8Array(bytes).buffer)
      .receive("ok", done)
      .receive("error", failed);
  });
channel.join().receive("ok", async () => {
  tell(await ping([0, 1, 2, 255, 123]));
  tell(await ping([]));
  process.exit(0);
});
setTimeout(() => process.exit(1), 60_000);
