/**
 * The browser SDK in Node: makes a task, watches it to its end, and tells what it saw.
 *
 * Argument: the server's address. Standard input: the body of the task. Every line of
 * standard output is a JSON object; the last has `end`.
 */

import { text } from "node:stream/consumers";
import { WebSocket } from "ws";

import { connect } from "../../clients/browser/sdk/index.js";

const tell = (line) => console.log(JSON.stringify(line));
const onLine = ({ state }) => tell({ line: state });
const client = connect({ url: process.argv[2], world: { WebSocket }, onLine });
const body = JSON.parse(await text(process.stdin));
const { task_id: id } = await client.create(body);
client.watch(id, {
  after: 0,
  onEvent: ({ seq, type, progress }) => tell({ seq, type, progress }),
  onPreview: ({ step, media_type }) => tell({ preview: step, media_type }),
  onGap: () => tell({ gap: true }),
  onError: ({ code }) => tell({ error: code }),
  onEnd: async (snapshot) => {
    const whole = await client.get(id);
    delete whole.cursor;
    delete whole.log;
    const isTheServers = JSON.stringify(whole) === JSON.stringify(snapshot);
    tell({ end: snapshot.status, isTheServers });
    client.close();
  },
});
