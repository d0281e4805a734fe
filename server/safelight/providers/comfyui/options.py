"""What a server's node classes take: options and ranges, asked for class by class.

GET /object_info comes to megabytes, so it is never asked for whole. Answers are kept for
a while; who is about to refuse something asks anew first, since a file may just have been
installed. Options come in two shapes, and both are read here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import anyio

NodeClass = dict[str, Any]
RECHECK_SECONDS = 5.0
"""What is younger than this is believed also against a caller."""

MOST_CLASSES = 2000


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


class Options:
    """The node classes of one server, as they were last told."""

    def __init__(
        self,
        ask: Callable[[str], Awaitable[NodeClass | None]],
        monotonic: Callable[[], float],
        keep_seconds: float,
    ) -> None:
        self._ask = ask
        self._monotonic = monotonic
        self._keep_seconds = keep_seconds
        self._known: dict[str, tuple[float, NodeClass | None]] = {}
        self._locks: dict[str, anyio.Lock] = {}

    async def node_class(self, name: str, *, younger: float | None = None) -> NodeClass | None:
        """What a class takes, None if there is no such class; no older than so many seconds.
        Raises Trouble."""
        age = self._keep_seconds if younger is None else younger
        if len(self._locks) >= MOST_CLASSES:
            self._locks.clear()
        async with self._locks.setdefault(name, anyio.Lock()):
            known = self._known.get(name)
            if known is not None and self._monotonic() - known[0] < age:
                return known[1]
            asked_at = self._monotonic()
            info = await self._ask(name)
            if len(self._known) >= MOST_CLASSES:
                self._known.clear()
            self._known[name] = (asked_at, info)
            return info

    def known(self, name: str) -> NodeClass | None:
        """What was last told of a class, however long ago."""
        found = self._known.get(name)
        return None if found is None else found[1]

    async def choices(self, name: str, input: str, *, younger: float | None = None) -> list[str]:
        """The options of an input; none if it has no list. Raises Trouble."""
        info = await self.node_class(name, younger=younger)
        return choices_of(config_of(info, input)) or []

    def forget(self) -> None:
        """It may be another server now."""
        self._known.clear()
