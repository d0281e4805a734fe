"""Who we are to a server: the same after a restart of ours, and another than any copy of us."""

from __future__ import annotations

import os
import shutil
import stat
from pathlib import Path

import pytest

from safelight.providers.base import Moved
from safelight.providers.comfyui.name import FILE, client_id, kept_in
from tests.doubles.comfy import comfy
from tests.doubles.comfy_rig import QUICK, rigged, turned

OURS = "0123"


def test_it_stays_the_same(tmp_path: Path) -> None:
    """A data directory has one client id for each backend, from start to start."""
    first = client_id(tmp_path, "one")
    assert kept_in(tmp_path, "one")() == first
    assert client_id(tmp_path, "two") != first
    assert stat.S_IMODE((tmp_path / FILE).stat().st_mode) == 0o600
    assert os.listdir(tmp_path) == [FILE]


def test_a_moved_file_is_another(tmp_path: Path) -> None:
    """A copy of the directory has ids of its own, be it of the bytes or by links, and the
    original keeps its own."""
    here = tmp_path / "data"
    here.mkdir()
    known = client_id(here, "one")
    shutil.copytree(here, tmp_path / "copied")
    shutil.copytree(here, tmp_path / "linked", copy_function=os.link)
    ids = {client_id(tmp_path / name, "one") for name in ("copied", "linked", "data")}
    assert len(ids) == 3 and client_id(here, "one") == known
    assert client_id(tmp_path / "linked", "one") in ids, "it stays the same there, too"
    here.rename(tmp_path / "before")
    shutil.copytree(tmp_path / "before", here)
    assert client_id(here, "one") not in ids, "put back from a copy it is another, too"


@pytest.mark.parametrize("written", [b"", b"{", b'{"secret":"x","inode":1,"place":""}'])
def test_a_damaged_one_is_drawn_again(tmp_path: Path, written: bytes) -> None:
    """A file that cannot be read is replaced, and what was left of a write does not matter."""
    (tmp_path / FILE).write_bytes(written)
    (tmp_path / f"{FILE}.new").write_bytes(b"half")
    known = client_id(tmp_path, "one")
    assert client_id(tmp_path, "one") == known


def test_one_that_cannot_be_kept_is_drawn(tmp_path: Path) -> None:
    """Where nothing can be written there is an id all the same, another each time."""
    nowhere = tmp_path / "nothing"
    assert client_id(nowhere, "one") != client_id(nowhere, "one")


async def test_steps_are_told_after_our_restart() -> None:
    """Another process with the same client id hears of a prompt that runs already."""
    async with comfy() as double:
        async with rigged(double, known_as=lambda: OURS) as before:
            handle = await before.provider.start(before.prediction())
            double.begin(handle)
        async with rigged(double, known_as=lambda: OURS) as rig:
            following = rig.follow(rig.prediction(), handle)
            job = rig.backend.router.open(handle)
            await turned(lambda: job.life is not None and rig.backend.socket.is_open)
            double.tell("progress", node="3", value=2, max=4, prompt_id=handle)
            await rig.heard.until(lambda: rig.heard.of(Moved))
            moved = rig.heard.of(Moved)[-1]
            assert (moved.step, moved.steps) == (2, 4)
            following.cancel()


async def test_one_that_goes_deaf_again_takes_another_id() -> None:
    """Whose socket is deaf once opens it again under the same id, as the older one's end may
    have taken it along; twice, and somebody else may be using the id: it takes another, and
    what was sent under the old one is looked up to its end."""
    quick = {"silence": 0.02, "deaf": 0.05}
    timings = type(QUICK)(
        **{name: getattr(QUICK, name) for name in QUICK.__struct_fields__} | quick
    )
    async with comfy() as double, rigged(double, timings, known_as=lambda: OURS) as rig:
        handle, following = await rig.start()
        double.begin(handle)
        await double.until(lambda: len(double.sockets) == 3)
        ids = [line.asked.query.removeprefix("clientId=") for line in double.sockets]
        assert ids[:2] == [OURS, OURS] and ids[2] == rig.backend.client_id != OURS
        double.end(handle, outputs={"9": {"images": []}})
        await following
        assert len(double.sockets) == 3, "nothing is expected to be heard of it"
