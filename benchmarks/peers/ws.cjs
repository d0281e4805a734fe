"use strict";
// A peer: Node's `ws`, encoded once for an event, one send for each follower.
//
//     node benchmarks/peers/ws.cjs PORT

const { WebSocketServer } = require("ws");
const events = require("./events.cjs");

const followers = new Map();
const server = new WebSocketServer({
  port: +process.argv[2],
  host: "127.0.0.1",
  backlog: 2048,
  perMessageDeflate: false,
});

function follow(socket, topic) {
  if (!followers.has(topic)) followers.set(topic, new Set());
  followers.get(topic).add(socket);
  socket.on("close", () => followers.get(topic).delete(socket));
}

function publish(order) {
  for (const [topic, event] of events.read(order)) {
    const data = Buffer.from(JSON.stringify(event));
    for (const socket of followers.get(topic) ?? []) socket.send(data, { binary: false });
  }
}

server.on("connection", (socket, request) => {
  socket.on("error", () => {}); // a follower that went away
  if (request.url === "/bench/publish") socket.on("message", (order) => publish(String(order)));
  else follow(socket, +request.url.split("/").pop());
  socket.send("ok");
});
