"""Clients that come back: each follows one task to its end over whatever the network does.

Three kinds over one idea: a raw V2 socket, server-sent events, and the Python client. Each
keeps its cursor, returns with it after every loss, and notes every event that it was told,
every gap and every snapshot. `whole` is what all of them must be able to say at the end.
They begin before the task exists if need be, and ask again until it does.
"""

from __future__ import annotations

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import msgspec
import websockets

from safelight.client import Client
from safelight.client.errors import RequestRefused
from safelight_protocol.events import TERMINAL

AGAIN_SECONDS = 0.05
"""Between two tries to come back: nobody tells a client when its server is there again."""


class Follower(ABC):
    """One witness. `gaps` counts how often it was told that events are missing."""

    def __init__(self, url: str, id: str) -> None:
        self.url = url
        self.id = id
        self.events: list[dict[str, Any]] = []
        self.snapshots: list[dict[str, Any]] = []
        self.gaps = 0
        self.connections = 0
        self._something = asyncio.Event()

    @abstractmethod
    async def run(self) -> None:
        """Follow until the end of the task was told."""

    def take(self, event: dict[str, Any]) -> None:
        """Note one event."""
        self.events.append(event)
        self._something.set()

    async def until(self, type: str) -> dict[str, Any]:
        """The first event of that type, once it was told."""
        await self.until_so(lambda: any(event["type"] == type for event in self.events))
        return next(event for event in self.events if event["type"] == type)

    async def attached(self) -> None:
        """Return once it was told anything of the task."""
        await self.until_so(lambda: bool(self.events or self.snapshots))

    async def until_so(self, condition: Callable[[], bool]) -> None:
        """Return once this holds of what it was told; looked at after each thing told."""
        while not condition():
            self._something.clear()
            await self._something.wait()

    def see(self, snapshot: dict[str, Any]) -> None:
        """Note one snapshot."""
        self.snapshots.append(snapshot)
        self._something.set()

    @property
    def over(self) -> bool:
        """Whether the end was told."""
        return bool(self.events) and self.events[-1]["status"] in TERMINAL

    def first_seq(self) -> int:
        """The seq of the first event that it was to be told."""
        return 1

    def whole(self) -> None:
        """Assert: every event once and in order, nothing missing, one end, and no gap."""
        told = [(e.get("from_seq", e["seq"]), e["seq"]) for e in self.events]
        covered = [seq for first, last in told for seq in range(first, last + 1)]
        first = self.first_seq()
        expected = list(range(first, first + len(covered)))
        assert covered == expected, f"{type(self).__name__}: {told}"
        ends = [e["type"] for e in self.events if e["status"] in TERMINAL]
        assert len(ends) == 1 and self.over, f"{type(self).__name__}: {ends}"
        assert self.gaps == 0, f"{type(self).__name__} was told of {self.gaps} gaps"


class SocketFollower(Follower):
    """A socket that writes its frames by hand. With `beat` seconds it sends heartbeats, and
    takes a connection on which one was not answered within that time for dead; one that has
    not opened within `opening` seconds it gives up."""

    def __init__(
        self, url: str, id: str, *, beat: float | None = None, opening: float = 10.0
    ) -> None:
        super().__init__(url, id)
        self.frames: list[Any] = []
        self._cursor: str | int = 0
        self._beat = beat
        self._opening = opening
        self._log = ""

    async def run(self) -> None:
        address = self.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
        while not self.over:
            try:
                async with websockets.connect(
                    address,
                    compression=None,
                    proxy=None,
                    open_timeout=self._opening,
                    close_timeout=0.1,
                    ping_interval=None,
                ) as end:
                    self.connections += 1
                    await self._converse(end)
            except (OSError, websockets.WebSocketException, EOFError, TimeoutError):
                await asyncio.sleep(AGAIN_SECONDS)

    async def _converse(self, end: Any) -> None:
        join = {"after": self._cursor}
        await end.send(json.dumps(["7", "8", f"task:{self.id}", "phx_join", join]))
        while not self.over:
            frame = json.loads(await self._receive(end))
            self.frames.append(frame)
            self._something.set()
            match frame:
                case ["7", "8", _, "phx_reply", {"status": "ok", "response": reply}]:
                    self._joined(reply)
                case [_, "8", _, "phx_reply", _]:
                    raise EOFError("not joined")
                case [_, _, _, "progress", event]:
                    self.take(event)
                    self._cursor = f"{self._log}-{event['seq']}"

    def _joined(self, reply: dict[str, Any]) -> None:
        self._log = reply["log"]
        self._cursor = reply["cursor"]
        self.see(reply["task"])
        self.gaps += reply["gap"]

    async def _receive(self, end: Any) -> Any:
        if self._beat is None:
            return await end.recv()
        try:
            async with asyncio.timeout(self._beat):
                return await end.recv()
        except TimeoutError:
            await end.send(json.dumps([None, "9", "phoenix", "heartbeat", {}]))
        async with asyncio.timeout(self._beat):
            return await end.recv()


class StreamFollower(Follower):
    """Server-sent events, with `Last-Event-ID`; `silence` seconds without a byte (or a
    comment) mean that the connection is dead."""

    def __init__(self, url: str, id: str, *, silence: float = 30.0) -> None:
        super().__init__(url, id)
        self._last: str | None = None
        self._silence = silence

    async def run(self) -> None:
        timeout = httpx2.Timeout(10.0, read=self._silence)
        async with httpx2.AsyncClient(base_url=self.url, timeout=timeout, trust_env=False) as http:
            while not self.over:
                try:
                    await self._listen(http)
                except httpx2.HTTPError:
                    pass
                if not self.over:
                    await asyncio.sleep(AGAIN_SECONDS)

    async def _listen(self, http: httpx2.AsyncClient) -> None:
        headers = {} if self._last is None else {"Last-Event-ID": self._last}
        async with http.stream("GET", f"/api/tasks/{self.id}/events", headers=headers) as stream:
            self.connections += 1
            if stream.status_code == 204:
                raise AssertionError("the stream is over, and the end was never told")
            if stream.status_code != 200:
                return
            async for name, id, body in _parsed(stream.aiter_lines()):
                self._told(name, id, body)

    def _told(self, name: str, id: str, body: dict[str, Any]) -> None:
        self._last = id
        if name == "gap":
            self.gaps += 1
            self.see(body["task"])
        else:
            self.take(body)


async def _parsed(lines: AsyncIterator[str]) -> AsyncIterator[tuple[str, str, dict[str, Any]]]:
    fields: dict[str, str] = {}
    async for line in lines:
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield fields["event"], fields["id"], json.loads(fields["data"])
            fields = {}


class ClientFollower(Follower):
    """The Python client, as anybody would use it."""

    def __init__(self, client: Client, id: str) -> None:
        super().__init__("", id)
        self._client = client

    async def run(self) -> None:
        while not self.over:
            try:
                await self._watch()
            except RequestRefused as refused:
                assert refused.code == "not_found", refused
                await asyncio.sleep(AGAIN_SECONDS)

    async def _watch(self) -> None:
        async for snapshot in self._client.watch(self.id, self._take):
            self.see(json.loads(msgspec.json.encode(snapshot)))

    @property
    def over(self) -> bool:
        """Its watch ends with the snapshot of the end."""
        return bool(self.snapshots) and self.snapshots[-1]["status"] in TERMINAL

    def first_seq(self) -> int:
        """It begins with a snapshot, so with whatever event comes after that."""
        return self.events[0]["seq"] if self.events else 1

    def whole(self) -> None:
        """Also: its last snapshot is that of its last event. Who comes after the end is told
        that alone."""
        if not self.events:
            assert len(self.snapshots) == 1 and self.over
            return
        super().whole()
        assert self.snapshots[-1]["seq"] == self.events[-1]["seq"]

    def _take(self, event: Any) -> None:
        self.take(json.loads(msgspec.json.encode(event)))


@asynccontextmanager
async def following(
    followers: Sequence[Follower], patience: float = 30.0
) -> AsyncIterator[Sequence[Follower]]:
    """All of them at once; at the end of the block they are waited for, at most `patience`."""
    async with asyncio.timeout(None) as limit, asyncio.TaskGroup() as group:
        for follower in followers:
            group.create_task(follower.run())
        yield followers
        limit.reschedule(asyncio.get_running_loop().time() + patience)
