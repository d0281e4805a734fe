"""The adapter and the emulator that it speaks to, a process of its own.

Waits are shortened, never left out; every prediction asks for other words, so that nothing
is a repeat by accident.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest

from safelight.providers.base import Prediction
from safelight.providers.superduperai import SuperDuperAI, Timings
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated, emulated

HASTY = Timings(poll=0.05, poll_most=0.2, reopen=0.02, reopen_most=0.1, settle=0.1)


@pytest.fixture(scope="package")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """One emulator for all of them."""
    with emulated(tmp_path_factory.mktemp("sd"), "superduperai", pace=0.01) as running:
        yield running


@pytest.fixture
def emulator(running: Emulated) -> Iterator[Emulated]:
    """The same, with nothing armed before or after."""
    running.disarm()
    yield running
    running.disarm()


def adapter(emulator: Emulated, **more: Any) -> SuperDuperAI:
    """An adapter that asks the emulator."""
    timings = more.pop("timings", HASTY)
    settings = {"url": emulator.url, "key": emulator.key, "request_seconds": 5.0} | more
    return SuperDuperAI(ProviderSettings(**settings), timings=timings)


@pytest.fixture
async def provider(emulator: Emulated) -> AsyncIterator[SuperDuperAI]:
    """The adapter, opened."""
    made = adapter(emulator)
    async with made.open():
        yield made


@pytest.fixture
def ours(emulator: Emulated) -> Callable[[Prediction], list[dict[str, Any]]]:
    """The runs at the emulator that were asked for by a prediction."""

    def find(asked: Prediction) -> list[dict[str, Any]]:
        return [run for run in emulator.runs() if run["marks"]["prompt"] == asked.prompt]

    return find


def image(**fields: Any) -> Prediction:
    """A small picture."""
    return _prediction("image", "superduperai/comfyui/flux", {"width": 64, "height": 64}, fields)


def video(**fields: Any) -> Prediction:
    """A video of words."""
    model = "superduperai/google-cloud/veo2-text2video"
    return _prediction("video", model, {"duration": 5.0}, fields)


def _prediction(kind: str, model: str, params: dict[str, Any], fields: Any) -> Prediction:
    words = uuid.uuid4().hex
    given = {"uid": f"u-{words}", "attempt": 1, "kind": kind, "model": model, "prompt": words}
    return Prediction(**given | {"params": params, "seed": 7, "n": 1} | fields)
