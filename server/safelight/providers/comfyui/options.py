"""What a server's node classes take: options and ranges, asked for class by class.

GET /object_info comes to megabytes, so it is never asked for whole. Answers are kept, and
read once: what was told of a class serves while it is asked for anew, so that only a class
that nobody has heard of yet is worth waiting for. Each question is asked once for all who
want to know, and goes on when they have left. Options come in two shapes; both are read.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from contextlib import suppress
from typing import Any

import anyio
import msgspec

NodeClass = dict[str, Any]
RECHECK_SECONDS = 5.0
"""What is younger than this is believed also against a caller."""

OLD = 10
"""What is this many times as old as it may be is waited for like what is about to be refused."""

MOST_CLASSES = 2000
AT_ONCE = 4
"""Questions to one server at a time."""


def config_of(info: NodeClass | None, name: str) -> list[Any] | None:
    """How an input is declared: its type, or its options, and what more is said of it."""
    inputs = (info or {}).get("input")
    if not isinstance(inputs, dict):
        return None
    for part in ("required", "optional"):
        declared = inputs.get(part)
        config = declared.get(name) if isinstance(declared, dict) else None
        if isinstance(config, list) and config:
            return config
    return None


def choices_of(config: Any) -> list[str] | None:
    """The options of an input in either shape; None if it is none of a list."""
    if not isinstance(config, list) or not config:
        return None
    kind = config[0]
    if isinstance(kind, list):
        return [str(option) for option in kind]
    more = config[1] if len(config) > 1 and isinstance(config[1], dict) else {}
    options = more.get("options")
    return [str(o) for o in options] if kind == "COMBO" and isinstance(options, list) else None


def bounds_of(config: Any) -> tuple[str, float | None, float | None] | None:
    """INT or FLOAT with its least and its most; None for every other input."""
    if not isinstance(config, list) or not config or config[0] not in ("INT", "FLOAT"):
        return None
    more = config[1] if len(config) > 1 and isinstance(config[1], dict) else {}
    return config[0], _number(more.get("min")), _number(more.get("max"))


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class Input(msgspec.Struct, frozen=True):
    """What one input takes. `choices` is None where it is none of a list, `among` the same
    to look up in; `uploads` says that the list is only what was uploaded so far."""

    choices: list[str] | None
    among: frozenset[str]
    bounds: tuple[str, float | None, float | None] | None
    uploads: bool


class Known(msgspec.Struct, frozen=True):
    """What was told of a class and when; no `inputs` where there is no such class."""

    asked_at: float
    inputs: dict[str, Input] | None


def inputs_of(info: NodeClass | None) -> dict[str, Input] | None:
    """What a class takes, read; inputs that are neither list nor number are left out."""
    if info is None:
        return None
    declared = info.get("input")
    found: dict[str, Input] = {}
    for part in ("optional", "required"):
        inputs = declared.get(part) if isinstance(declared, dict) else None
        for name in inputs if isinstance(inputs, dict) else ():
            config = config_of(info, name)
            choices, bounds = choices_of(config), bounds_of(config)
            if choices is not None or bounds is not None:
                found[name] = Input(choices, frozenset(choices or ()), bounds, _uploads(config))
    return found


def _uploads(config: Any) -> bool:
    more = config[1] if isinstance(config, list) and len(config) > 1 else None
    return isinstance(more, dict) and any(str(name).endswith("_upload") for name in more)


class Options:
    """The node classes of one server, as they were last told."""

    def __init__(
        self,
        ask: Callable[[str], Awaitable[NodeClass | None]],
        monotonic: Callable[[], float],
        keep_seconds: float,
        patience: float = 0.5,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._keep_seconds = keep_seconds
        self._patience = patience
        self._known: dict[str, Known] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}
        self._places = asyncio.Semaphore(AT_ONCE)

    def known(self, name: str) -> Known | None:
        """What was last told of a class, however long ago."""
        return self._known.get(name)

    async def have(self, names: Iterable[str]) -> None:
        """Return when something is known of these. Raises Trouble if a class that nobody has
        heard of yet cannot be asked about; what is older than it may be is asked for, and
        serves meanwhile."""
        cold, old = [], []
        now = self._monotonic()
        for name in names:
            known = self._known.get(name)
            if known is None:
                cold.append(name)
            elif now - known.asked_at >= self._keep_seconds * OLD:
                old.append(name)
            elif now - known.asked_at >= self._keep_seconds:
                self._asked(name)
        if old:
            await self.renew(old, younger=self._keep_seconds)
        if cold:
            await asyncio.gather(*(asyncio.shield(self._asked(name)) for name in cold))

    async def renew(
        self, names: Iterable[str], *, younger: float, patience: float | None = None
    ) -> bool:
        """Have what is not younger than so many seconds told anew, if that can be done in
        `patience`, or in that of who is about to refuse something; whether there was any."""
        now = self._monotonic()
        stale = [
            name
            for name in names
            if (known := self._known.get(name)) is None or now - known.asked_at >= younger
        ]
        asked = [asyncio.shield(self._asked(name)) for name in stale]
        with anyio.move_on_after(self._patience if patience is None else patience):
            await asyncio.gather(*asked, return_exceptions=True)
        return bool(stale)

    async def choices(self, name: str, input: str) -> list[str]:
        """The options of an input; none if it has no list. Raises Trouble."""
        await self.have([name])
        known = self._known.get(name)
        found = None if known is None or known.inputs is None else known.inputs.get(input)
        return (None if found is None else found.choices) or []

    async def close(self) -> None:
        """Ask nothing more."""
        asking = list(self._asking.values())
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)

    def _asked(self, name: str) -> asyncio.Task[None]:
        """The one question about a class that is under way, begun if there is none."""
        task = self._asking.get(name)
        if task is None:
            task = self._asking[name] = asyncio.create_task(self._learn(name))
            task.add_done_callback(lambda done: self._is_asked(name, done))
        return task

    def _is_asked(self, name: str, done: asyncio.Task[None]) -> None:
        del self._asking[name]
        with suppress(asyncio.CancelledError):
            done.exception()  # who waits is told; when nobody does, nobody need be

    async def _learn(self, name: str) -> None:
        async with self._places:
            asked_at = self._monotonic()
            inputs = inputs_of(await self._ask(name))
        if len(self._known) >= MOST_CLASSES and name not in self._known:
            self._known.clear()
        self._known[name] = Known(asked_at, inputs)
