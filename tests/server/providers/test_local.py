"""The embedded default: real worker processes, real pictures."""

from __future__ import annotations

import asyncio
import io
import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from safelight.providers.base import Again, Done, Gone, InputFile, Made, Never, Prediction, Shown
from safelight.providers.local import Local
from tests.server.providers.test_contract import SMALL, Heard


@pytest.fixture
async def local() -> AsyncIterator[Local]:
    """One worker, no pace."""
    provider = Local(1)
    async with provider.open():
        yield provider


def image(**fields: Any) -> Prediction:
    """A small picture."""
    plain: dict[str, Any] = {
        "uid": "u1",
        "attempt": 1,
        "kind": "image",
        "model": "local/paint",
        "prompt": "a medieval monk",
        "params": SMALL,
        "seed": 3,
        "n": 1,
    }
    return Prediction(**plain | fields)


async def run(local: Local, prediction: Prediction) -> tuple[Any, Heard]:
    """The outcome and what was reported on the way."""
    heard = Heard()
    handle = await local.start(prediction)
    return await local.follow(prediction, handle, heard), heard


async def test_the_same_seed_gives_the_same_bytes(local: Local) -> None:
    """Equal prompt and seed are one picture; another seed is another."""
    one, two, other = [
        (await run(local, image(seed=seed)))[1].of(Made)[0].data for seed in (3, 3, 4)
    ]
    assert one == two != other
    assert Image.open(io.BytesIO(one)).size == (256, 256)


async def test_n_pictures_differ(local: Local) -> None:
    """`n` gives that many files."""
    outcome, heard = await run(local, image(n=2))
    assert isinstance(outcome, Done)
    assert len({made.data for made in heard.of(Made)}) == 2


async def test_previews_stay_small(local: Local) -> None:
    """Previews come, and each is under 64 KiB."""
    _, heard = await run(local, image())
    assert heard.of(Shown)
    assert all(len(shown.data) < 64 * 1024 for shown in heard.of(Shown))


async def test_flaky_fails_once(local: Local) -> None:
    """`local/flaky` fails its first attempt in a way that may pass, then paints."""
    first, _ = await run(local, image(model="local/flaky"))
    second, heard = await run(local, image(model="local/flaky", attempt=2))
    assert isinstance(first, Again)
    assert isinstance(second, Done)
    assert heard.of(Made)


async def test_a_bad_input_image_is_the_senders(local: Local, tmp_path: Path) -> None:
    """An input that is no image fails for good, as `invalid_input`."""
    path = tmp_path / "x.png"
    path.write_bytes(b"not an image")
    outcome, _ = await run(local, image(inputs=(InputFile(path, "image/png"),)))
    assert isinstance(outcome, Never)
    assert outcome.code == "invalid_input"


async def test_a_worker_that_dies_is_a_loss_and_is_replaced(local: Local) -> None:
    """Killed by the system: the attempt is Gone, and the next one has a fresh worker."""
    heard = Heard()
    asked = image(params=SMALL | {"steps": 400})
    following = asyncio.create_task(local.follow(asked, await local.start(asked), heard))
    await asyncio.wait_for(heard.first.wait(), 20)
    for pid in local.pids():
        os.kill(pid, signal.SIGKILL)
    assert isinstance(await asyncio.wait_for(following, 20), Gone)
    outcome, _ = await run(local, image(attempt=2))
    assert isinstance(outcome, Done)


async def test_nothing_is_left_running() -> None:
    """When the provider is closed its workers have ended."""
    local = Local(1)
    async with local.open():
        await run(local, image())
        pids = local.pids()
        assert pids
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)
