"""One ComfyUI server: its address and credentials, its one socket, its lists, its health.

Everything that two predictions on it share lives here, and nothing that two servers
would share. `open` must hold while it is used. The directory of backends knows it by the
protocol in backends/base.py.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import anyio

from ...backends.base import Health, Unreachable, Wanted
from ...settings import BackendSettings
from ...telemetry import log as record
from .answers import Accepted
from .checking import check_params
from .client import Client, Trouble, headers_of
from .graph import Graph
from .name import drawn
from .options import Options
from .pace import Pace, Timings
from .router import Router
from .socket import Socket
from .workflows import Workflows

CHECKPOINTS = ("CheckpointLoaderSimple", "ckpt_name")
MOST_SENT = 10_000
MOST_DEAF = 1
"""How often the socket may go deaf before its client id is suspected."""


class ComfyBackend:
    """A server that the settings name. `client_id` is its socket's, had from `known_as` when it
    opens: no two processes may share one."""

    type = "comfyui"

    def __init__(
        self,
        name: str,
        settings: BackendSettings,
        workflows: Workflows | None = None,
        *,
        timings: Timings | None = None,
        sleep: Callable[[float], Awaitable[None]] = anyio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
        known_as: Callable[[], str] = drawn,
    ) -> None:
        self.name = name
        self.label = settings.label or name
        self.url = settings.url
        self.client_id = drawn()
        self.headers = headers_of(settings)
        self.pace = Pace(timings or Timings(), sleep)
        self.client = Client(settings, self.pace.timings)
        self.router = Router()
        self.workflows = workflows or Workflows.load()
        self.monotonic = monotonic
        self.socket = Socket(name, settings, lambda: self.client_id, self.router, self.pace)
        self._known_as = known_as
        self._deaf = 0
        keep, patience = self.pace.timings.fresh_options, self.pace.timings.recheck
        self.options_of = Options(self.client.node_class, monotonic, keep, patience)
        self._is_new = False  # perhaps it is another server now
        self._number: float | None = None
        self._restarts = 0
        self._sent: deque[str] = deque(maxlen=MOST_SENT)
        self._settled: deque[str] = deque(maxlen=4)

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold its connections; the socket itself opens when it is first needed."""
        self.client_id = self._known_as()
        async with self.client.open():
            running = asyncio.create_task(self.socket.run())
            try:
                yield
            finally:
                running.cancel()
                await self.options_of.close()
                await asyncio.gather(running, return_exceptions=True)

    async def health(self) -> Health:
        """Ask for its version and its queue. Raises Unreachable."""
        try:
            stats = await self.client.stats()
            queue = await self.client.queue()
        except Trouble as trouble:
            self._is_new = True
            raise Unreachable(str(trouble)) from None
        return Health(
            status="up",
            version=stats.system.comfyui_version,
            queue_running=queue.running,
            queue_pending=queue.pending,
            devices=tuple(_device(device) for device in stats.devices),
        )

    async def checkpoints(self) -> list[str]:
        """The checkpoints that it has. Raises Unreachable. What the workflows need is asked
        for, too, before it grows old: nobody who asks for a picture waits for lists."""
        await self.options(*CHECKPOINTS)
        younger = 0.0 if self._is_new else self.pace.timings.fresh_options / 2
        self._is_new = False
        names = {name for template in self.workflows for name in template.classes()}
        await self.options_of.renew(
            {CHECKPOINTS[0], *names}, younger=younger, patience=self.pace.timings.lists
        )
        return await self.options(*CHECKPOINTS)

    async def options(self, class_type: str, input: str) -> list[str]:
        """What one input of a node class may be; none if it is no list. Raises Unreachable."""
        try:
            return await self.options_of.choices(class_type, input)
        except Trouble as trouble:
            raise Unreachable(str(trouble)) from None

    async def check(self, wanted: Wanted) -> None:
        """Hold what is asked for against what it has. Raises Refused `invalid` that names
        field, value and the nearest allowed; Unreachable if it could not be asked."""
        template = self.workflows.of(wanted.model)
        try:
            await check_params(wanted, template, self.options_of)
        except Trouble as trouble:
            raise Unreachable(str(trouble)) from None

    async def submit(self, graph: Graph, prompt_id: str) -> Accepted:
        """Queue a prompt, and notice from its number if the server began anew."""
        self._sent.append(prompt_id)
        accepted = await self.client.submit(graph, prompt_id, self.client_id)
        if self._number is not None and accepted.number < self._number:
            self._restarts += 1
        self._number = accepted.number
        return accepted

    def hears_nothing(self) -> None:
        """The socket tells nothing of a prompt that runs: open it anew. One that an older
        socket of ours took along when it closed hears again then. When it happens once more,
        somebody else may come with our id, from a copy of our data directory: take another
        one, which costs the steps of what runs."""
        self._deaf += 1
        if self._deaf > MOST_DEAF:
            self._deaf = 0
            self.client_id = drawn()
            record("backend.shared", backend=self.name)
            for job in self.router.jobs:
                job.life = None
        self.socket.suspect()

    def has_sent(self, prompt_id: str) -> bool:
        """Whether it was sent from here, not too long ago."""
        return prompt_id in self._sent

    def settled(self, prompt_id: str) -> None:
        """The history has this prompt of ours."""
        self._settled.append(prompt_id)

    @property
    def life(self) -> tuple[int, int]:
        """Stays the same as long as the server surely has not restarted."""
        return self.socket.drops, self._restarts

    async def has_forgotten(self, life: tuple[int, int]) -> bool:
        """Whether the server may have begun anew since `life`: the socket was away, numbers
        went back, or it no longer knows an earlier prompt of ours. Raises Trouble."""
        if self.life != life or not self.socket.is_open:
            return True
        for prompt_id in reversed(self._settled):
            return await self.client.history(prompt_id) is None
        return False


def _device(device: dict[str, Any]) -> dict[str, Any]:
    """What an owner may see of a device."""
    shown = ("name", "type", "vram_total", "vram_free")
    return {name: device[name] for name in shown if name in device}
