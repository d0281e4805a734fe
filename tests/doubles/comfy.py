"""A ComfyUI server that does what a test says: HTTP and its socket on one loopback port.

It runs nothing by itself. A prompt that is posted waits in `pending`; the test lets it
begin, tells frames about it, ends it, or replays a recorded run. `faults` are what the
next requests to a route meet, one each; a route is written `POST /prompt`, or
`GET /history` with whatever follows it. Unrealistic: it validates nothing, and frames are
sent at once, without the pauses of work.

    async with comfy() as server:
        server.faults["POST /prompt"].append("lose")
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

from tests.doubles.comfy_wire import Asked, Line, binary, head_of, read_request

VECTORS = Path(__file__).parents[1] / "server/providers/comfyui/vectors/transcripts.json"
PATIENCE = 10.0

HTML = b"<!doctype html><title>Sign in</title>"


class Answer(NamedTuple):
    """What is answered instead: `drop` after doing what was asked, `lose` without doing it,
    `hang` after doing it; else this body with this status, done or not."""

    status: int
    body: bytes = b""
    type: str = "application/json"
    done: bool = False


Fault = Answer | str
PAGE = Answer(200, HTML, "text/html")


class ComfyDouble:
    """The server. `sockets` are all there ever were, `posted` all prompts by id, in order."""

    def __init__(self) -> None:
        self.url = ""
        self.prefix = ""
        self.asked: list[Asked] = []
        self.posted: list[dict[str, Any]] = []
        self.pending: list[dict[str, Any]] = []
        self.running: list[dict[str, Any]] = []
        self.history: dict[str, Any] = {}
        self.object_info: dict[str, Any] = {}
        self.uploads: list[bytes] = []
        self.sockets: list[Line] = []
        self.faults: dict[str, deque[Fault]] = defaultdict(deque)
        self.node_errors: dict[str, Any] = {}
        self.number = 0
        self.refuse_sockets = False
        self.answer_id: str | None = None
        self.interrupts = True
        self.changed = asyncio.Event()

    # What a test does.

    async def until(self, condition: Any) -> None:
        """Wait until something holds that changes with a request or a frame."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.changed.clear()
                await self.changed.wait()

    def begin(self, prompt_id: str) -> None:
        """It runs."""
        item = next(p for p in self.pending if p["prompt_id"] == prompt_id)
        self.pending.remove(item)
        self.running.append(item)

    def end(
        self, prompt_id: str, last: str = "execution_success", outputs: Any = None, **data: Any
    ) -> None:
        """The history has it."""
        items = [p for p in (*self.running, *self.pending) if p["prompt_id"] == prompt_id]
        self.running = [p for p in self.running if p["prompt_id"] != prompt_id]
        self.pending = [p for p in self.pending if p["prompt_id"] != prompt_id]
        good = last == "execution_success"
        status = {
            "status_str": "success" if good else "error",
            "completed": good,
            "messages": [[last, {"prompt_id": prompt_id} | data]],
        }
        graph = items[0]["prompt"] if items else {}
        self.history[prompt_id] = {
            "prompt": [0, prompt_id, graph, {}, []],
            "outputs": outputs or {},
            "status": status,
            "meta": {},
        }

    def finish(self, prompt_id: str, outputs: Any = None, **more: Any) -> None:
        """The history has it, and the socket says so."""
        self.end(prompt_id, outputs=outputs, **more)
        self.tell("executing", node=None, prompt_id=prompt_id)

    def tell(self, type: str, **data: Any) -> None:
        """A text frame on the newest socket."""
        self.sockets[-1].tell(type, **data)

    def restart(self) -> None:
        """It forgets everything, and all sockets drop."""
        self.pending, self.running, self.history, self.number = [], [], {}, 0
        for line in self.sockets:
            line.drop()

    async def replay(self, run: dict[str, Any], prompt_id: str, told: Any = None) -> None:
        """A recorded run, frame by frame, with its history before the word that it is over.
        `told`, where given, is awaited before each frame."""
        for frame in run["frames"]:
            if told is not None:
                await told()
            if "binary" in frame:
                self.sockets[-1].binary(binary(frame["binary"], prompt_id))
                continue
            message = json.loads(json.dumps(frame["json"]).replace('"P"', f'"{prompt_id}"'))
            if message["type"] == "execution_start" and self.pending:
                self.begin(prompt_id)
            if message["type"] == "executing" and message["data"]["node"] is None:
                self._record(run, prompt_id)
            self.sockets[-1].text(json.dumps(message))

    def _record(self, run: dict[str, Any], prompt_id: str) -> None:
        frames = [f["json"] for f in run["frames"] if "json" in f]
        last = next(f for f in reversed(frames) if f["type"].startswith("execution_"))
        outputs = {
            f["data"]["node"]: f["data"]["output"] for f in frames if f["type"] == "executed"
        }
        data = {k: v for k, v in last["data"].items() if k != "prompt_id"}
        self.end(prompt_id, last["type"], outputs, **data)
        if run["history"] is not None:
            self.history[prompt_id] |= run["history"]

    def count(self, method: str, path: str) -> int:
        """How often that was asked."""
        return sum(a.method == method and a.path.startswith(path) for a in self.asked)

    # What it answers.

    def answer(self, asked: Asked) -> tuple[int, Any]:
        """Do what was asked."""
        match asked.method, self._parts(asked):
            case "POST", ["prompt"]:
                return self._prompt(asked.json)
            case "GET", ["history", id]:
                return 200, {id: self.history[id]} if id in self.history else {}
            case "GET", ["queue"]:
                listed = [[_item(p) for p in part] for part in (self.running, self.pending)]
                return 200, dict(zip(("queue_running", "queue_pending"), listed, strict=True))
            case "POST", ["queue"]:
                gone = asked.json["delete"]
                self.pending = [p for p in self.pending if p["prompt_id"] not in gone]
                return 200, None
            case "POST", ["interrupt"]:
                self._interrupt(asked.json["prompt_id"])
                return 200, None
            case "GET", ["object_info", name]:
                return 200, {name: self.object_info[name]} if name in self.object_info else {}
            case "GET", ["system_stats"]:
                return 200, {"system": {"comfyui_version": "0.33.0"}, "devices": [{"name": "cpu"}]}
            case "POST", ["upload", "image"]:
                self.uploads.append(asked.body)
                return 200, {"name": "given (1).png", "subfolder": "safelight", "type": "input"}
        return 404, None

    def _parts(self, asked: Asked) -> list[str]:
        return asked.path.removeprefix(self.prefix).strip("/").split("/")

    def _prompt(self, body: dict[str, Any]) -> tuple[int, Any]:
        id = self.answer_id or body["prompt_id"]
        item = body | {"prompt_id": id, "number": self.number}
        self.number += 1
        self.posted.append(item)
        self.pending.append(item)
        return 200, {"prompt_id": id, "number": item["number"], "node_errors": self.node_errors}

    def _interrupt(self, id: str) -> None:
        if self.interrupts and any(p["prompt_id"] == id for p in self.running):
            self.end(id, "execution_interrupted", node_id="3")
            if self.sockets:
                self.tell("executing", node=None, prompt_id=id)

    # How it is served.

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while not writer.is_closing():
                asked = await read_request(reader)
                if asked.headers.get("upgrade", "").lower() == "websocket":
                    return await self._socket(reader, writer, asked)
                await self._reply(reader, writer, asked)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    async def _reply(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        self.asked.append(asked)
        route = f"{asked.method} /{self._parts(asked)[0]}"
        fault = self.faults[route].popleft() if self.faults[route] else None
        left = fault == "lose" or (isinstance(fault, Answer) and not fault.done)
        status, body = (0, None) if left else self.answer(asked)
        self.changed.set()
        if fault == "hang":
            await reader.read()
        if isinstance(fault, str):
            return writer.transport.abort()
        data = b"" if body is None else json.dumps(body).encode()
        reply = fault or Answer(status, data)
        head = f"HTTP/1.1 {reply.status} X\r\nContent-Type: {reply.type}\r\n"
        writer.write(f"{head}Content-Length: {len(reply.body)}\r\n\r\n".encode() + reply.body)

    async def _socket(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, asked: Asked
    ) -> None:
        self.asked.append(asked)
        self.changed.set()
        if self.refuse_sockets:
            writer.write(b"HTTP/1.1 503 X\r\nContent-Length: 0\r\n\r\n")
            return
        protocol = ServerProtocol(max_size=None)
        protocol.receive_data(b"GET / HTTP/1.1\r\n" + head_of(asked) + b"\r\n")
        request = protocol.events_received()[0]
        assert isinstance(request, Request)
        protocol.send_response(protocol.accept(request))
        line = Line(writer, protocol, asked)
        self.sockets.append(line)
        line.flush()
        line.tell("status", status={"exec_info": {"queue_remaining": 0}}, sid="x")
        try:
            await self._hear(reader, line, protocol)
        finally:
            line.closed_at = time.monotonic()
            line.closed.set()
            self.changed.set()

    async def _hear(
        self, reader: asyncio.StreamReader, line: Line, protocol: ServerProtocol
    ) -> None:
        while data := await reader.read(65536):
            protocol.receive_data(data)
            for event in protocol.events_received():
                if isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                    line.frames.append(json.loads(event.data))
                    line.arrived.set()
                    self.changed.set()
            line.flush()
            if protocol.close_expected():
                return


def recorded() -> dict[str, Any]:
    """The recorded exchanges."""
    found: dict[str, Any] = json.loads(VECTORS.read_text())
    return found


@asynccontextmanager
async def comfy(port: int = 0) -> AsyncIterator[ComfyDouble]:
    """A server on loopback; all ends with the block."""
    double, serving = ComfyDouble(), set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(double.converse(reader, writer))
        serving.add(task)
        task.add_done_callback(serving.discard)

    server = await asyncio.start_server(accept, "127.0.0.1", port, limit=2**24)
    double.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield double
    finally:
        server.close()
        for task in list(serving):
            task.cancel()
        await asyncio.gather(*serving, return_exceptions=True)


def _item(prompt: dict[str, Any]) -> list[Any]:
    extra = {"client_id": prompt["client_id"]} if "client_id" in prompt else {}
    return [prompt["number"], prompt["prompt_id"], prompt["prompt"], extra, ["9"]]
