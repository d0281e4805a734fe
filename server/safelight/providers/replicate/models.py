"""What each model takes and where it is begun: asked for once, kept for a while.

Those who want to know at the same moment share one question, which goes on when they give
up: the next one finds its answer. What was known is believed for longer than it is fresh if
nobody answers now. A version never changes, and is asked about once.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import msgspec

from ..http import Fault, Trouble
from .schema import Shape, shape_of
from .target import Route, Target, released, route_of, target_of, version_in

Describe = Callable[[str], Awaitable[dict[str, Any]]]
"""What is told at an address below the interface's. Raises Trouble."""

MOST = 500
"""Models that are known at a time."""


class NoSuchModel(Exception):
    """Replicate has no model of that name, or shows it to nobody with this key."""


class Model(msgspec.Struct, frozen=True):
    """One model: how it is begun, and what it takes, if that is told."""

    route: Route
    shape: Shape | None


class _Known(msgspec.Struct):
    model: Model
    since: float
    lasting: bool


class Models:
    """By name; `fresh` is for how many seconds an answer is not asked for again."""

    def __init__(self, describe: Describe, monotonic: Callable[[], float], fresh: float) -> None:
        self._describe = describe
        self._monotonic = monotonic
        self._fresh = fresh
        self._known: dict[str, _Known] = {}
        self._asking: dict[str, asyncio.Task[Model]] = {}

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold the questions that are under way."""
        try:
            yield
        finally:
            asking = list(self._asking.values())
            for question in asking:
                question.cancel()
            await asyncio.gather(*asking, return_exceptions=True)

    async def get(self, name: str) -> Model:
        """One model. Raises NoSuchModel and Trouble."""
        known = self._known.get(name)
        if known is not None and (known.lasting or self._is_fresh(known)):
            return known.model
        question = self._asking.get(name) or self._ask(name)
        await asyncio.wait([question])
        if question.cancelled():
            raise Trouble(Fault(sent=False, why="the question was called off"))
        trouble = question.exception()
        if trouble is None:
            return question.result()
        if known is not None and isinstance(trouble, Trouble):
            return known.model
        raise trouble

    def forget(self, name: str) -> None:
        """It does not take what it was said to take: ask anew next time."""
        self._known.pop(name, None)

    def _is_fresh(self, known: _Known) -> bool:
        return self._monotonic() - known.since < self._fresh

    def _ask(self, name: str) -> asyncio.Task[Model]:
        question = self._asking[name] = asyncio.create_task(self._told(name))
        question.add_done_callback(partial(self._answered, name))
        return question

    def _answered(self, name: str, question: asyncio.Task[Model]) -> None:
        del self._asking[name]
        if not question.cancelled():
            question.exception()  # whoever waits gets it; nobody need wait any more

    async def _told(self, name: str) -> Model:
        target = target_of(name)
        if target is None:
            raise NoSuchModel(name)
        try:
            said = {} if target.describe is None else await self._describe(target.describe)
            model = Model(route_of(target, said), await self._shape(target, said))
        except Trouble as trouble:
            if trouble.status == 404:
                raise NoSuchModel(name) from None
            raise
        if len(self._known) >= MOST:
            self._known.clear()
        lasting = target.version is not None
        self._known[name] = _Known(model, self._monotonic(), lasting)
        return model

    async def _shape(self, target: Target, said: dict[str, Any]) -> Shape | None:
        if target.deployment:
            where = released(said)
            said = {} if where is None else await self._describe(where)
        return shape_of(version_in(said).get("openapi_schema"))
