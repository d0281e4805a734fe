"use strict";
// A peer: Socket.IO, a room for each topic, WebSockets only.
//
//     node benchmarks/peers/socketio.cjs PORT

const http = require("node:http");
const { Server } = require("socket.io");
const events = require("./events.cjs");

const listener = http.createServer();
const server = new Server(listener, { transports: ["websocket"], serveClient: false });

server.on("connection", (socket) => {
  socket.on("subscribe", (topic) => {
    socket.join(`topic-${topic}`);
    socket.emit("subscribed");
  });
  socket.on("publish", (order) => {
    for (const [topic, event] of events.read(order)) {
      server.to(`topic-${topic}`).emit("progress", event);
    }
  });
});

listener.listen({ port: +process.argv[2], host: "127.0.0.1", backlog: 2048 });
