"""The two creates: what they need, what they cost, and what goes wrong with them.

The order is the provider's as far as it is known: the body, the model, the user, and then
the database, whose refusal of a repeat is the `409 Integrity error, create`.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..bench import Bench
from ..gate import Cut, Silence
from .flows import Flow
from .forms import GenerateImage, GenerateVideo, read_body
from .hub import Hub
from .prices import OFFERS, Offer
from .shelf import File, Shelf, fresh

BEGUN = ("lost-answer", "hang")
"""After these a create has begun, and is answered by nobody."""

CHANCE = ("lost-answer", "lost-request", "http-500", "http-503", "throttle", "integrity")
ARMED = ("hang", "unauthorized", "no-credit", "no-vip", "moderated")
"""What goes wrong with a create, also by chance or only when it is asked for."""


class Denied(Exception):
    """A create that something went wrong with; `fault` names it."""

    def __init__(self, fault: str, seconds: float = 1.0) -> None:
        super().__init__(fault)
        self.fault = fault
        self.seconds = seconds


class User(msgspec.Struct):
    """Who has the key."""

    id: str
    balance: Decimal
    vip: bool = True


class Creates:
    """Begins what is asked for."""

    def __init__(self, bench: Bench, hub: Hub, shelf: Shelf) -> None:
        self._bench = bench
        self._hub = hub
        self._shelf = shelf
        self.user = User(fresh(), Decimal(1_000_000))

    async def image(self, request: Request) -> Response:
        """POST /file/generate-image: a list of files."""
        asked = read_body(await request.body(), GenerateImage)
        unheard = self._goes_wrong()
        files = self._begin("image", asked, asked.config.batch_size or 1)
        return unheard or JSONResponse([file.read() for file in files])

    async def video(self, request: Request) -> Response:
        """POST /file/generate-video: one file, and no list."""
        asked = read_body(await request.body(), GenerateVideo)
        unheard = self._goes_wrong()
        (file,) = self._begin("video", asked, 1)
        return unheard or JSONResponse(file.read())

    def _goes_wrong(self) -> Response | None:
        """What stands for an answer that will be lost. Raises Denied for whatever keeps it from
        beginning."""
        fault = self._bench.faults.one_of(*CHANCE, on="create", armed=ARMED)
        if fault is None:
            return None
        if fault.name not in BEGUN:
            raise Denied(fault.name, fault.seconds(1.0))
        return Cut() if fault.name == "lost-answer" else Silence()

    def _begin(self, kind: str, asked: GenerateImage | GenerateVideo, count: int) -> list[File]:
        offer = self._offer(kind, asked.config.generation_config_name)
        config: dict[str, Any] = msgspec.to_builtins(asked.config)
        if config["seed"] is None:
            config["seed"] = self._bench.random.randrange(10**12)
        self._shelf.take(kind, config)
        made = {"id": fresh(), **config}
        made.pop("batch_size", None)
        files = [self._file(kind, made, number, asked) for number in range(count)]
        flow = Flow(self._bench, self._hub, offer, files)
        if flow.units > self.user.balance:
            raise Denied("no-credit")
        self.user.balance -= flow.units
        for file in files:
            self._shelf.add(file)
        flow.begin()
        return files

    def _offer(self, kind: str, name: str) -> Offer:
        offer = OFFERS.get(name)
        if offer is None or offer.makes != kind:
            raise Denied("unknown")
        if offer.vip and not self.user.vip:
            raise Denied("no-vip")
        return offer

    def _file(
        self, kind: str, made: dict[str, Any], number: int, asked: GenerateImage | GenerateVideo
    ) -> File:
        """One file of a batch, with the generation that all of them share, and its own task."""
        id, project_id = fresh(), asked.project_id
        task = {"id": fresh(), "type": f"{kind}-generation-flow", "status": "in_progress"}
        return File(
            id=id,
            type=kind,
            created_at=self._bench.now(),
            user_id=self.user.id,
            project_id=project_id,
            entity_id=getattr(asked, "entity_id", None),
            scene_id=asked.scene_id,
            generation=made,
            task=task | {"file_id": id, "project_id": project_id},
            duration=made.get("duration"),
            number=number,
        )
