"""The runner's end of a prediction, played by the test: what was reported, in order.

Unrealistic on purpose: a report is kept at once, and nothing is written anywhere.
"""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from safelight.providers.base import Delta, Found, Made, Moved, Outcome, Prediction, Provider, Shown

One = TypeVar("One")


class Heard:
    """Everything a provider reported; `first` is set by the first of it."""

    def __init__(self) -> None:
        self.reports: list[Moved | Delta | Made | Found | Shown] = []
        self.first = asyncio.Event()

    async def __call__(self, report: Moved | Delta | Made | Found | Shown) -> None:
        self.reports.append(report)
        self.first.set()

    def of(self, type_: type[One]) -> list[One]:
        """The reports of one type."""
        return [report for report in self.reports if isinstance(report, type_)]

    @property
    def text(self) -> str:
        """What was written so far."""
        return "".join(delta.text for delta in self.of(Delta))


def prediction(**fields: Any) -> Prediction:
    """A small one of text."""
    given = {"uid": "u1", "attempt": 1, "kind": "text", "model": "m", "prompt": "a lighthouse"}
    return Prediction(**given | {"params": {}, "seed": 7, "n": 1} | fields)


async def followed(provider: Provider, asked: Prediction, heard: Heard | None = None) -> Outcome:
    """Started and followed to its end."""
    handle = await provider.start(asked)
    return await provider.follow(asked, handle, heard or Heard())
