"""Plays one recorded talk against a server and returns what was heard, in the recorder's form.

Requests go out in the recorded order, each once the sockets have heard what the recorder's
had. Ids that the server gives are written as the recorded ones; nothing is judged here.
"""

from __future__ import annotations

import ast
import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import httpx2
import websockets

from tests.kerniegen.recorded import Event, cached_first, files, frame, submitted, upload

HEARD_SECONDS = 20.0
"""How long what was recorded may take to be heard."""

QUIET = ("status", "progress", "progress_state")
"""Messages that no request waits for: when they come is a matter of pace."""


class Line:
    """One socket, the messages that came over it, and its end."""

    def __init__(self, socket: websockets.ClientConnection, changed: asyncio.Event) -> None:
        self.socket = socket
        self.heard: list[Event] = []
        self.code: int | None = None
        self._changed = changed
        self._task = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        try:
            async for message in self.socket:
                self.heard.append(frame(message))
                self._changed.set()
        except websockets.ConnectionClosed:
            pass
        self.code = self.socket.close_code
        self._changed.set()

    async def hang_up(self) -> int | None:
        """Close it and return the code of its end."""
        await self.socket.close()
        await self._task
        return self.code


class Talk:
    """A recorded talk on its way. `end` and `begin` stop and start the server, by signal."""

    def __init__(
        self,
        url: str,
        events: list[Event],
        end: Callable[[str], None],
        begin: Callable[[], None],
    ) -> None:
        self._url = url
        self._events = events
        self._end, self._begin = end, begin
        self._lines: dict[str, Line] = {}
        self._past: dict[str, list[Event]] = {}
        self._ids: dict[str, str] = {}
        """What the server calls what the recorder's server called otherwise."""
        self._changed = asyncio.Event()

    async def play(self) -> list[Event]:
        """All events, those over sockets after all others of their socket."""
        heard: list[Event] = []
        async with httpx2.AsyncClient(base_url=self._url, timeout=30) as client:
            await self._prepare(client)
            for index, event in enumerate(self._events):
                heard += await self._event(index, event, client)
            for line in self._lines.values():
                await line.hang_up()
        return heard

    def messages(self) -> dict[str, list[Event]]:
        """What each socket heard, ids written as recorded."""
        found = {name: line.heard for name, line in self._lines.items()}
        back = {actual: recorded for recorded, actual in self._ids.items()}
        return {name: json.loads(_swap(json.dumps(heard), back)) for name, heard in found.items()}

    async def _event(self, index: int, event: Event, client: httpx2.AsyncClient) -> list[Event]:
        match event.get("dir"):
            case "http":
                await self._hear(index)
                return [await self._ask(event, client)]
            case "ws<-" if event["sock"] not in self._lines:
                await self._open(event)
            case "ws-close":
                await self._hear(index)
                if event["code"] == 1000:
                    await self._count_statuses(index)
                line = self._lines.get(event["sock"])
                if line is None:  # nothing was recorded of this socket but its end
                    return [event]
                code = line.code if event["code"] == 1006 else await line.hang_up()
                return [{**event, "code": code}]
            case None:
                return await self._note(index, event["note"])
        return []

    async def _open(self, event: Event) -> None:
        sid = event["json"]["data"]["sid"]
        named = len(sid) == 36
        query = f"?clientId={sid}" if named else ""
        url = self._url.replace("http", "ws", 1) + f"/ws{query}"
        socket = await websockets.connect(url, max_size=None)
        line = self._lines[event["sock"]] = Line(socket, self._changed)
        if self._sends_flags(event["sock"]):
            flags = {"supports_preview_metadata": True}
            await socket.send(json.dumps({"type": "feature_flags", "data": flags}))
        await self._until(lambda: line.heard)
        if not named:
            self._ids[sid] = line.heard[0]["json"]["data"]["sid"]

    def _sends_flags(self, name: str) -> bool:
        return any(
            event.get("sock") == name and event.get("json", {}).get("type") == "feature_flags"
            for event in self._events
        )

    async def _ask(self, event: Event, client: httpx2.AsyncClient) -> Event:
        answer = await client.send(self._request(event, client))
        found: Event = {"status": answer.status_code}
        found["content_type"] = answer.headers.get("content-type")
        found["content_disposition"] = answer.headers.get("content-disposition")
        found["response_len"] = len(answer.content)
        found["response_head_hex"] = answer.content[:16].hex(" ")
        if "text" in (found["content_type"] or ""):
            found["response_text"] = answer.text
        if "response" in event:  # how the recorder kept the answer to an upload
            found["response"] = answer.text
        if "json" in (found["content_type"] or ""):
            self._learn(event, answer.json())
            back = {actual: recorded for recorded, actual in self._ids.items()}
            found["response_json"] = json.loads(_swap(answer.text, back))
        return found

    def _learn(self, event: Event, answer: Any) -> None:
        if event["path"] == "/prompt" and event["method"] == "POST" and "prompt_id" in answer:
            self._ids[event["response_json"]["prompt_id"]] = answer["prompt_id"]

    def _request(self, event: Event, client: httpx2.AsyncClient) -> httpx2.Request:
        path, headers = _swap(event["path"], self._ids), dict(event.get("request_headers") or {})
        if "Origin" in headers:
            headers["Origin"] = re.sub(r"http://127.*", self._url, headers["Origin"])
        if path == "/upload/image":
            return client.build_request("POST", self._url + path, **upload(event))
        params = self._params(event) if path == "/view" else None
        content = None
        if "request_body" in event:
            content = ast.literal_eval(event["request_body"])
        elif event.get("request_json") is not None:
            content = _swap(json.dumps(event["request_json"]), self._ids).encode()
            headers["content-type"] = "application/json"
        url = httpx2.URL(self._url + path, params=params) if params else self._url + path
        return client.build_request(event["method"], url, content=content, headers=headers)

    def _params(self, event: Event) -> dict[str, str]:
        """The file to ask for: the same one of the same output as was recorded."""
        asked = ast.literal_eval(event["note"].removeprefix("params "))
        recorded = [e for e in self._events if e.get("dir") == "ws<-"]
        heard = [each for line in self._lines.values() for each in line.heard]
        pairs = zip(files(recorded), files(heard), strict=False)
        return next((found for known, found in pairs if known == asked), asked)

    async def _note(self, index: int, note: str) -> list[Event]:
        if note.startswith("types seen"):
            await self._count_statuses(index)
        if note.startswith("---- SIG"):
            await self._hear(index)
            await asyncio.to_thread(self._end, note.split()[1])
            await self._until(lambda: all(line.code for line in self._lines.values()))
        if note.startswith("restarted"):
            await asyncio.to_thread(self._begin)
            return [{}]
        if note.startswith("after closing A"):
            async with httpx2.AsyncClient(base_url=self._url) as client:
                await _settled(client)
        if note.startswith("history has it: True"):
            prompt_id = list(self._ids.values())[-1]
            async with httpx2.AsyncClient(base_url=self._url) as client:
                while prompt_id not in (await client.get(f"/history/{prompt_id}")).json():
                    pass  # asking takes its time
        return []

    async def _count_statuses(self, index: int) -> None:
        """Wait until as many statuses were heard as were recorded before an event."""
        for name, line in self._lines.items():
            before = [e for e in self._events[:index] if e.get("sock") == name]
            wanted = sum(_is_status(event) for event in before)
            await self._until(lambda: line.code or sum(map(_is_status, line.heard)) >= wanted)  # noqa: B023

    async def _hear(self, index: int) -> None:
        """Wait until the sockets have heard what the recorder's had before an event."""
        own_id = submitted(self._events[index])
        if any(submitted(event) == own_id for event in self._events[:index]):
            own_id = ""
        for name, line in self._lines.items():
            wanted = 0
            steps: tuple[str, str] | None = None
            for event in self._events[:index]:
                if event.get("sock") != name or event.get("dir") != "ws<-":
                    continue
                if own_id and own_id in json.dumps(event):
                    continue
                if is_loud(event):
                    wanted, steps = wanted + 1, None
                elif event.get("json", {}).get("type") == "progress":
                    steps = (event["json"]["data"]["prompt_id"], event["json"]["data"]["node"])
            await self._until(lambda: _has(line, wanted, steps, self._ids))  # noqa: B023

    async def _until(self, ready: Callable[[], Any]) -> None:
        async with asyncio.timeout(HEARD_SECONDS):
            while not ready():
                self._changed.clear()
                await self._changed.wait()

    async def _prepare(self, client: httpx2.AsyncClient) -> None:
        """Bring the server into the state of the recorder's: its history, its cached results."""
        await client.post("/free", json={"unload_models": True, "free_memory": True})
        await client.post("/history", json={"clear": True})
        await _settled(client)
        for event in self._events:
            if event.get("path") == "/history" and event.get("method") == "GET":
                for prompt_id, entry in event["response_json"].items():
                    body = {"prompt": entry["prompt"][2], "prompt_id": prompt_id}
                    body["client_id"] = entry["prompt"][3]["client_id"]
                    await client.post("/prompt", json=body)
                    await _settled(client)
                break
        warm = cached_first(self._events)
        if warm:
            await client.post("/prompt", json={"prompt": warm})
            await _settled(client)
            await client.post("/history", json={"clear": True})


def is_loud(event: Event) -> bool:
    """Whether a request may wait for this message."""
    return event.get("json", {}).get("type", QUIET[0]) not in QUIET


def _has(line: Line, wanted: int, steps: tuple[str, str] | None, ids: dict[str, str]) -> bool:
    if line.code is not None:
        return True
    loud = [index for index, event in enumerate(line.heard) if is_loud(event)]
    if len(loud) < wanted:
        return False
    if steps is None or len(loud) > wanted:
        return True
    since = line.heard[loud[wanted - 1] if wanted else 0 :]
    prompt_id = ids.get(steps[0], steps[0])
    return any(
        event.get("json", {}).get("type") == "progress"
        and event["json"]["data"]["prompt_id"] == prompt_id
        for event in since
    )


async def _settled(client: httpx2.AsyncClient) -> None:
    async with asyncio.timeout(HEARD_SECONDS):
        while (await client.get("/prompt")).json()["exec_info"]["queue_remaining"]:
            pass  # asking takes its time


def _is_status(event: Event) -> bool:
    return event.get("json", {}).get("type") == "status"


def _swap(text: str, ids: dict[str, str]) -> str:
    for here, there in ids.items():
        text = text.replace(here, there)
    return text
