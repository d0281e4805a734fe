"""Work that is seen through, insisted on, or waited for patiently."""

from __future__ import annotations

import asyncio
from pathlib import Path

import anyio
import pytest

from safelight.artifacts import ArtifactStore, Kept, name_of
from safelight.insist import insist, patiently, see_through
from safelight.production import Production
from safelight.providers.base import Made
from safelight.providers.scripted import PIXEL
from safelight.store import StoreTrouble
from safelight.subscriptions import Subscriptions
from safelight_protocol.codes import Refused
from tests.doubles.file_source import no_fetches
from tests.doubles.lives import fresh


class Work:
    """Fails so often with that refusal, and counts."""

    def __init__(self, *refusals: Refused) -> None:
        self.refusals = list(refusals)
        self.tries = 0

    async def __call__(self) -> str:
        self.tries += 1
        if self.refusals:
            raise self.refusals.pop()
        return "done"


@pytest.mark.parametrize("again", [insist, patiently])
@pytest.mark.parametrize(
    "refused", [StoreTrouble("ill"), StoreTrouble("full", full=True), Refused("unavailable", "x")]
)
async def test_trouble_of_the_disk_is_waited_out(again: object, refused: Refused) -> None:
    """A full or ill disk is asked again, until it is well."""
    work = Work(refused)
    assert await again(work) == "done"  # type: ignore[operator]
    assert work.tries == 2


@pytest.mark.parametrize("again", [insist, patiently])
async def test_any_other_refusal_is_an_answer(again: object) -> None:
    """What waiting cannot change is raised at once."""
    work = Work(Refused("too_large", "x"))
    with pytest.raises(Refused):
        await again(work)  # type: ignore[operator]
    assert work.tries == 1


async def test_what_is_seen_through_outlives_its_caller() -> None:
    """The caller goes, and the work comes to its end."""
    gate, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        await gate.wait()
        ended.set()

    caller = asyncio.create_task(see_through(work()))
    await asyncio.sleep(0)
    caller.cancel()
    await asyncio.wait([caller])
    gate.set()
    async with asyncio.timeout(20):
        await ended.wait()


async def test_bytes_are_kept_when_the_disk_has_room_again(tmp_path: Path) -> None:
    """A file that a prediction made is not thrown away for a disk that is full for a while:
    it is kept when there is room, pinned once, and released."""
    troubles = [OSError(28, "No space left on device"), OSError(5, "Input/output error")]

    def sync(handle: int) -> None:
        if troubles:
            raise troubles.pop()

    await ArtifactStore(tmp_path / "a", 10_000).open()
    files = ArtifactStore(tmp_path / "a", 10_000, sync=sync)
    made = Made(kind="image", data=PIXEL, media_type="image/png")
    async with Production(files, Subscriptions(), None, no_fetches()).keep(
        fresh(), made
    ) as artifact:
        assert (tmp_path / "a" / name_of(artifact.sha256, "image/png")).exists()
        assert files.statistics()["artifacts_pinned"] == 1
    assert files.statistics()["artifacts_pinned"] == 0
    assert list((tmp_path / "a" / "incoming").iterdir()) == []


async def test_who_gives_up_waiting_pins_nothing(tmp_path: Path) -> None:
    """A prediction that is cut off while the disk is full leaves no file and no pin."""
    reached = asyncio.Event()

    async def keep() -> Kept:
        reached.set()
        raise Refused("storage_full", "x")

    with anyio.move_on_after(5) as limit:
        async with anyio.create_task_group() as group:
            group.start_soon(patiently, keep)
            await reached.wait()
            group.cancel_scope.cancel()
    assert not limit.cancelled_caught
