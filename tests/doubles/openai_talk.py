"""One prediction at an OpenAI provider that is patient for a fraction of a second: what it
reported, and what it came to. Stands for the runner, without a task or a store."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from safelight.providers.base import (
    Again,
    Delta,
    Failure,
    Found,
    Gone,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Shown,
    Unclear,
)
from safelight.providers.openai import OpenAI, Timings

SOON = Timings(answer=5.0, silence=5.0, whole=5.0, poll=0.001, poll_most=0.001)


class Talk:
    """One prediction at one provider: what it reported, and what it came to."""

    def __init__(self, provider: OpenAI, **fields: Any) -> None:
        plain: dict[str, Any] = {"uid": "u1", "attempt": 1, "kind": "text", "model": "m"}
        plain |= {"prompt": "a lamp", "params": {}, "seed": 7, "n": 1}
        self.provider = provider
        self.asked = Prediction(**plain | fields)
        self.reports: list[Any] = []
        self.handle: str | None = None

    async def report(self, report: Moved | Delta | Made | Found | Shown) -> None:
        """Keep it."""
        self.reports.append(report)

    async def start(self) -> str:
        """Begin it."""
        self.handle = await self.provider.start(self.asked)
        return self.handle

    async def follow(self, handle: str | None = None) -> Outcome:
        """Follow it to its end."""
        handle = handle or self.handle
        assert handle is not None
        return await self.provider.follow(self.asked, handle, self.report)

    async def run(self) -> Outcome:
        """Begin it and follow it; a start that failed is an outcome like others."""
        try:
            await self.start()
        except Failure as failure:
            return failure.outcome
        return await self.follow()

    async def look_up(self) -> object:
        """What becomes of it if its answer was lost."""
        return await self.provider.look_up(self.asked)

    @property
    def text(self) -> str:
        """All that was written."""
        return "".join(one.text for one in self.reports if isinstance(one, Delta))

    def of(self, kind: type) -> list[Any]:
        """The reports of one kind."""
        return [one for one in self.reports if isinstance(one, kind)]


Opening = Callable[..., Any]


def code_of(outcome: object) -> str:
    """The word of an outcome that failed: its code, or what it is."""
    if isinstance(outcome, Again | Never):
        return outcome.code
    assert isinstance(outcome, Unclear | Gone), outcome
    return type(outcome).__name__
