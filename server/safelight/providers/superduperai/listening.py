"""What the channel of a file tells, by server-sent events or by the older socket.

A channel keeps nothing and tells nobody what was missed: whoever opens one must look
after that, and so must whoever lost one. Each mailbox has one channel, opened again and
again until nobody follows the file any more.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from urllib.parse import quote

import anyio
import httpx2
from websockets.asyncio.client import connect
from websockets.exceptions import WebSocketException

from ...telemetry import log as record
from .client import ROOT, Client
from .pace import Pace
from .shapes import File, Message, Task, as_number, as_type, read_message

MOST_BYTES = 16 * 1024 * 1024
"""Of one event: a file is told with everything that it was asked for with."""

NO_SUCH = frozenset({404, 405, 501})
"""Answers of a server that has only the socket."""

LOST = (OSError, WebSocketException, httpx2.HTTPError, httpx2.InvalidURL, TimeoutError, EOFError)


class Mailbox:
    """What is known of one file: `progress` from 0 to 1, `file` once it is done, `failed`.
    `look` is set by whoever knows that it should be asked for now."""

    def __init__(self, id: str, news: anyio.Event) -> None:
        self.id = id
        self.news = news
        self.progress: float | None = None
        self.file: File | None = None
        self.seen: File | None = None
        self.failed: str | None = None
        self.missed = 0
        self.look = True
        self.heard = False

    @property
    def over(self) -> bool:
        """Whether there is no more to learn."""
        return self.file is not None or self.failed is not None

    def nudge(self) -> None:
        """Ask for it now."""
        self.look = True
        self.news.set()

    def hear(self, message: Message) -> None:
        """One message of its channel. Files that are not this one are none of ours; the word
        of a task is a reason to look, since it may be an earlier one's."""
        match message.type:
            case "render_progress":
                told = message.object if isinstance(message.object, dict) else {}
                self._moved(told.get("progress"))
            case "file" | "render_result":
                file = as_type(message.object, File)
                if file is not None:
                    self.see(file)
            case "task":
                task = as_type(message.object, Task)
                if task is not None and task.status != "in_progress":
                    self.nudge()

    def see(self, file: File) -> None:
        """The file as it is, or was a moment ago."""
        if file.id != self.id or self.over:
            return
        self.seen = file
        if file.url is not None:
            self.file = file
            self.news.set()
        elif file.failed:
            self.failed = "the provider could not make it"
            self.news.set()

    def _moved(self, progress: object) -> None:
        """A share, or percents where it is above 1; it never falls."""
        told = as_number(progress)
        if told is None or not 0 <= told <= 100:
            return
        share = told / (100 if told > 1 else 1)
        if share > (self.progress or 0.0):
            self.progress = share
            self.news.set()


class Lines:
    """The channels that are open, as long as `open` holds."""

    def __init__(self, client: Client, pace: Pace, name: str) -> None:
        self._client = client
        self._pace = pace
        self._name = name
        self._only_socket = False
        self._held: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Whatever is still open is closed at the end."""
        try:
            yield
        finally:
            for task in self._held:
                task.cancel()
            await asyncio.gather(*self._held, return_exceptions=True)

    @contextmanager
    def listening(self, boxes: list[Mailbox]) -> Iterator[None]:
        """Hear what the channels of these files tell, as long as this lasts."""
        tasks = {asyncio.create_task(self._hold(box)) for box in boxes}
        self._held |= tasks
        for task in tasks:
            task.add_done_callback(self._held.discard)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()

    async def _hold(self, box: Mailbox) -> None:
        """Open the channel of a file again whenever it is lost; the pause is short after one
        that told something."""
        pause = self._pace.timings.reopen
        while not box.over:
            box.heard = False
            try:
                await self._hear(box)
            except LOST:
                pass
            except Exception as defect:
                record("provider.defect", provider=self._name, exc=defect)
            box.nudge()
            await self._pace.sleep(pause)
            most = self._pace.timings.reopen_most
            pause = self._pace.timings.reopen if box.heard else min(pause * 2, most)

    async def _hear(self, box: Mailbox) -> None:
        """One connection from its opening to its end."""
        if not self._only_socket and await self._events(box):
            return
        await self._socket(box)

    async def _events(self, box: Mailbox) -> bool:
        """By server-sent events; False where there are none at all."""
        patient = httpx2.Timeout(self._client.seconds, read=None)
        path = f"/events/file.{quote(box.id, safe='')}"
        async with self._client.http.sse(
            path, timeout=patient, max_event_size=MOST_BYTES
        ) as source:
            status = source.response.status_code
            if status in NO_SUCH:
                self._only_socket = True
                return False
            source.response.raise_for_status()
            box.nudge()  # whatever was told before is told to nobody again
            async for event in source:
                self._take(box, event.data)
        return True

    async def _socket(self, box: Mailbox) -> None:
        """By the socket: it says nothing until it has been asked for a channel."""
        channel = f"file.{box.id}"
        address = self._client.url.replace("http", "ws", 1)
        async with connect(
            f"{address}{ROOT}/ws/{quote(channel, safe='')}",
            additional_headers=self._client.headers,
            open_timeout=self._client.seconds,
            close_timeout=1.0,
            max_size=MOST_BYTES,
            compression=None,
            proxy=None,
        ) as socket:
            await socket.send(json.dumps({"type": "subscribe", "projectId": channel}))
            box.nudge()
            async for frame in socket:
                self._take(box, frame)

    def _take(self, box: Mailbox, data: str | bytes) -> None:
        box.heard = True
        message = read_message(data)
        if message is not None:
            box.hear(message)
