"""What is done for a create: its price is taken, its files are made, and events tell of it.

All files of one create are one run. The price is taken when it begins and is not given
back, whatever becomes of it: so the provider's notes tell it. There is no way to stop it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from ..bench import Bench
from ..painting import picture
from .clips import MEDIA_TYPE, filmed
from .hub import Hub, Message
from .prices import Offer, micros
from .shelf import File

EVENT_FAULTS = ("lost-event", "duplicate-event", "disorder")

STEPS = 10
"""How often the progress of a file is told."""

DREAM = (256, 160)
"""The size of a clip where none is asked for."""


class Flow:
    """One create, from its price to its files."""

    def __init__(self, bench: Bench, hub: Hub, offer: Offer, files: Sequence[File]) -> None:
        self._bench = bench
        self._hub = hub
        self._offer = offer
        self._files = files
        self._left = len(files)
        self._held: list[tuple[File, Message]] = []
        seconds = files[0].duration or 0.0
        self.units: Decimal = offer.units(len(files), seconds)

    @property
    def id(self) -> str:
        """The id of its run."""
        return str((self._files[0].generation or {})["id"])

    def begin(self) -> None:
        """Write down that it has begun, and go on by itself."""
        made = self._files[0].generation or {}
        self._bench.log.begun(
            self.id,
            self._offer.name,
            prompt=made.get("prompt"),
            seed=made.get("seed"),
            files=[file.id for file in self._files],
        )
        self._bench.background(self._run())

    async def _run(self) -> None:
        fault = self._bench.faults.one_of("fail", "late", on="run")
        if fault is not None and fault.name == "late":
            await self._bench.sleep(fault.seconds(2.0))
        failed = fault is not None and fault.name == "fail"
        await asyncio.gather(*(self._make(file, failed) for file in self._files))
        for file, message in self._held:
            self._tell_all(file, message)

    async def _make(self, file: File, failed: bool) -> None:
        for step in range(STEPS):
            await self._bench.step()
            self._tell(file, "render_progress", {"progress": step / STEPS})
            if failed and step == STEPS // 2:
                return self._end(file, "error")
        file.data = await asyncio.to_thread(_made, file)
        file.media_type = MEDIA_TYPE if file.type == "video" else "image/png"
        self._end(file, "completed")

    def _end(self, file: File, status: str) -> None:
        """The log knows that the run is over before anybody else does; the file's task says how
        it went before the file does."""
        self._left -= 1
        if not self._left:
            outcome = "failed" if status == "error" else "succeeded"
            self._bench.log.ended(self.id, outcome, micros(self.units))
        assert file.task is not None, "it is made by one"
        file.task = file.task | {"status": status}
        if status == "completed":
            suffix = "mp4" if file.type == "video" else "png"
            file.url = f"{self._bench.address}/media/{file.id}.{suffix}"
        self._tell(file, "task", file.task)
        if file.url is not None:
            self._tell(file, "file", file.read())
            if file.type == "video":
                self._tell(file, "render_result", file.read())

    def _tell(self, file: File, type: str, said: dict[str, Any]) -> None:
        """To whoever listens, unless it is lost; one that is late comes after the next."""
        fault = self._bench.faults.one_of(*EVENT_FAULTS, on="event")
        name = "" if fault is None else fault.name
        message: Message = {"type": type, "object": said}
        if name == "disorder":
            self._held.append((file, message))
            return
        held, self._held = self._held, []
        if name != "lost-event":
            self._tell_all(file, message)
        if name == "duplicate-event":
            self._tell_all(file, message)
        for late, earlier in held:
            self._tell_all(late, earlier)

    def _tell_all(self, file: File, message: Message) -> None:
        """On the file's channel, and its project's, if it has one."""
        self._hub.tell(f"file.{file.id}", message)
        if file.project_id is not None:
            self._hub.tell(f"project.{file.project_id}", message)


def _made(file: File) -> bytes:
    """The bytes of a file: the same for the same generation and the same place in its batch."""
    config = file.generation or {}
    words, seed = str(config.get("prompt", "")), int(config.get("seed") or 0)
    size = (config.get("width") or DREAM[0], config.get("height") or DREAM[1])
    seed += file.number
    if file.type != "video":
        return picture(words, seed=seed, size=size)
    shares = (0.25, 0.5, 0.75, 1.0)
    held = (min(size[0], 640), min(size[1], 640))
    frames = [picture(words, seed=seed, size=held, share=s, kind="jpeg") for s in shares]
    return filmed(frames, held, file.duration or 5.0)
