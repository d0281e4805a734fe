"""What the tables of providers that stream and keep nothing are made of: whom they ask, and
what a row of them says. Real sockets on both sides; the emulator counts for itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple

from safelight.providers.anthropic import Anthropic
from safelight.providers.base import Provider
from safelight.providers.gemini import Gemini
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.served import Served
from tests.doubles.streaming_house import AGREED, CLAUDE, GEMINI, ended, spent, streaming_house


class Speaker(NamedTuple):
    """A provider by its `name`, its `models`, a `text` that is wanted of one, the `path` of a
    create, and the seconds of silence that are borne."""

    name: str
    made: Callable[[ProviderSettings], Provider]
    models: str
    text: dict[str, Any]
    path: str
    silence: float

    @asynccontextmanager
    async def rig(self, folder: Path, **options: Any) -> AsyncIterator[tuple[Emulated, Served]]:
        """Its emulator and a server that asks it, which bears little silence."""
        with emulated(folder, self.name, **options) as emulator:
            settings = ProviderSettings(
                url=emulator.url, key=emulator.key, silence_seconds=self.silence
            )
            async with streaming_house(folder, self.made(settings), self.models) as house:
                yield emulator, house


def _text(model: str) -> dict[str, Any]:
    prompt = "three words on lighthouses, please, and then three more"
    return {"kind": "text", "model": model, "prompt": prompt, **AGREED}


ANTHROPIC = Speaker(
    "anthropic", Anthropic, CLAUDE, _text("claude-haiku-5-5"), "/v1/messages", silence=0.5
)
GOOGLE = Speaker("gemini", Gemini, GEMINI, _text("gemini-3.8-flash"), "/v1/models", silence=2.0)


class Row(NamedTuple):
    """A fault, how the task ends (`code` of its error, None if it completes), how many runs
    the emulator began, how often it was asked, and the verdict on the cost; `wanted` if it is
    something else than the text."""

    fault: str
    code: str | None
    runs: int
    asked: int
    verdict: str
    wanted: dict[str, Any] | None = None


async def hold(row: Row, speaker: Speaker, folder: Path) -> None:
    """Let it go wrong, and hold what a client sees against the emulator's count."""
    async with speaker.rig(folder) as (emulator, house):
        emulator.arm(row.fault)
        last = await ended(house, await house.create(**row.wanted or speaker.text))
        money = await spent(house)
    assert last["status"] == ("completed" if row.code is None else "failed")
    assert (last.get("error_data") or {}).get("code") == row.code
    assert last["charge"]["verdict"] == row.verdict
    assert len(emulator.runs()) == row.runs
    assert emulator.asked("POST", speaker.path) == row.asked
    if row.verdict != "unknown":
        assert money["total_micros"] == emulator.cost() == last["charge"]["amount_micros"]
