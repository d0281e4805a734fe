"""The one socket of a backend: opened when first needed, and again whenever it is lost.

Owned rules: the old connection is closed whole before the next one opens, since a server
that sees two with one client id goes on to drop the wrong one; the feature flags are the
first frame of each; no ping may end it, since a server that loads a model answers none.
What comes is handed to the router. Without a socket prompts run all the same, unwatched.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import anyio
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from ...settings import BackendSettings
from ...telemetry import log as record
from .client import headers_of
from .messages import FEATURE_FLAGS, Picture, Words, read_binary, read_text
from .pace import Pace
from .router import Router

LOST = (OSError, WebSocketException, TimeoutError, EOFError)


class Socket:
    """The socket of one backend, under the client id that is given when one opens. `drops`
    counts how often it was lost or could not be opened: as long as it stays the same, the
    server has not restarted."""

    def __init__(
        self,
        name: str,
        settings: BackendSettings,
        client_id: Callable[[], str],
        router: Router,
        pace: Pace,
    ) -> None:
        self.drops = 0
        self.opened = 0
        self._name = name
        self._settings = settings
        self._client_id = client_id
        self._router = router
        self._pace = pace
        self._connection: ClientConnection | None = None
        self._settled = anyio.Event()  # open, or given up for the moment
        self._suspected = anyio.Event()

    @property
    def is_open(self) -> bool:
        """Whether it hears."""
        return self._connection is not None

    async def ready(self) -> bool:
        """Wait, not for long, until it is open and has sent its flags."""
        if self._connection is None:
            self._router.needed.set()
            await self._pace.wait(self._settled, self._pace.timings.ready)
        return self.is_open

    def suspect(self) -> None:
        """It tells nothing of a prompt that runs: open it anew."""
        self._suspected.set()

    async def run(self) -> None:
        """Open it whenever somebody listens, until cancelled."""
        pause = self._pace.timings.reopen
        while True:
            await self._router.needed.wait()
            opened = self.opened
            try:
                await self._hold()
            except LOST as trouble:
                self._note(trouble)
            except Exception as defect:
                record("backend.defect", backend=self._name, exc=defect)
            self.drops += 1
            self._settled.set()
            self._router.nudge()
            pause = self._pace.timings.reopen if self.opened > opened else pause * 2
            pause = min(pause, self._pace.timings.reopen_most)
            await self._pace.sleep(pause)
            self._settled = anyio.Event()

    async def _hold(self) -> None:
        """One connection from its opening to its end, closed when this returns."""
        async with self._connect() as connection:
            await connection.send(FEATURE_FLAGS.decode())
            self._connection, self._suspected = connection, anyio.Event()
            self.opened += 1
            self._settled.set()
            if self.drops:
                self._router.nudge()
            record("backend.connected", backend=self._name)
            try:
                async with anyio.create_task_group() as group:
                    group.start_soon(self._end_if_suspected, connection)
                    await self._hear(connection)
                    group.cancel_scope.cancel()
            finally:
                self._connection = None

    async def _hear(self, connection: ClientConnection) -> None:
        try:
            async for frame in connection:
                self._router.frames += 1
                self._take(frame)
        except LOST as trouble:
            self._note(trouble)

    def _take(self, frame: str | bytes) -> None:
        if isinstance(frame, str):
            message = read_text(frame)
            if message is not None:
                self._router.message(message)
            return
        match read_binary(frame):
            case Picture() as picture:
                self._router.picture(picture)
            case Words() as words:
                self._router.words(words)

    async def _end_if_suspected(self, connection: ClientConnection) -> None:
        await self._suspected.wait()
        await connection.close()

    def _note(self, trouble: Exception) -> None:
        record("backend.lost", backend=self._name, error=type(trouble).__name__)

    def _connect(self) -> Any:
        timings = self._pace.timings
        url = f"{self._settings.url.replace('http', 'ws', 1)}/ws"
        return connect(
            f"{url}?clientId={quote(self._client_id())}",
            additional_headers=headers_of(self._settings),
            origin=None,
            compression=None,
            proxy=None,
            open_timeout=self._settings.timeout_seconds,
            close_timeout=timings.close,
            ping_interval=20.0,
            ping_timeout=None,
            max_size=self._settings.max_frame_bytes,
            max_queue=16,
        )
