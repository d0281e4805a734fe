"""Steps after our restart, on a KernieGen that has the fault of the real one with client ids."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import pytest

from safelight.providers.base import Ended, Moved, Prediction
from safelight.providers.comfyui import Comfy, ComfyBackend
from safelight.settings import BackendSettings
from tests.doubles.comfy_rig import PATIENCE, QUICK, Heard, turned
from tests.doubles.fault_proxy import Direction, FaultProxy, fault_proxy
from tests.doubles.kernie import Kernie, kerniegen

BOTH: tuple[Direction, ...] = ("up", "down")
OURS = "0123456789"
STEPS = 1000
"""More than are ever waited for."""

WATCHFUL = msgspec.structs.replace(QUICK, read=5.0, silence=0.1, deaf=1.5, poll=0.2)
ASKED = Prediction(
    uid="u1",
    attempt=1,
    kind="image",
    model="comfyui/txt2img",
    prompt="a bridge at night",
    params={"width": 64, "height": 64, "steps": STEPS},
    seed=7,
    n=1,
    backend="kerniegen",
)


@asynccontextmanager
async def process(url: str) -> AsyncIterator[tuple[Comfy, ComfyBackend]]:
    """One process of ours, as far as the server can see; they share a client id."""
    settings = BackendSettings(url=url)
    backend = ComfyBackend("kerniegen", settings, timings=WATCHFUL, known_as=lambda: OURS)
    provider = Comfy({"kerniegen": backend})
    async with provider.open():
        yield provider, backend


@asynccontextmanager
async def remote(folder: Path) -> AsyncIterator[tuple[Kernie, FaultProxy]]:
    """A KernieGen behind a network."""
    with kerniegen(folder / "kernie", step_seconds=0.05, previews="none") as kernie:
        async with fault_proxy(kernie.url) as proxy:
            yield kernie, proxy


def steps(heard: Heard) -> list[int]:
    """The sampler's steps that were told."""
    return [m.step for m in heard.of(Moved) if m.step is not None and m.steps == STEPS]


@pytest.mark.slow
async def test_an_older_socket_that_closes_late_is_found_out(tmp_path: Path) -> None:
    """The socket of the process before lives on at the server, half-open, and closes while the
    new one hears: the server then tells the new one nothing more. It is noticed, the socket is
    opened anew, the steps go on, and the prompt ran once."""
    async with remote(tmp_path) as (kernie, proxy), asyncio.timeout(PATIENCE * 3):
        async with process(proxy.url) as (provider, _):
            handle = await provider.start(ASKED)
            for way in BOTH:
                proxy.freeze(way)  # it dies, and the server is not told
        heard = Heard()
        async with process(proxy.url) as (provider, backend):
            following = asyncio.create_task(provider.follow(ASKED, handle, heard))
            await heard.until(lambda: len(steps(heard)) >= 3)
            assert backend.socket.opened == 1
            proxy.heal()
            await turned(lambda: backend.socket.opened == 2)
            last = steps(heard)[-1]
            await heard.until(lambda: steps(heard)[-1] > last)
            assert steps(heard) == sorted(steps(heard)) and backend.client_id == OURS
            await provider.cancel(ASKED, handle)
            assert isinstance(await following, Ended)
        assert kernie.runs() == {handle: 1}
