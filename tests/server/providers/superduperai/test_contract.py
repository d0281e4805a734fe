"""What base.py promises of every provider, kept by this one over real sockets.

It differs in one thing, which is its provider's: what has begun there cannot be stopped,
so a cancel ends the following, and what was begun is paid.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx2
import pytest

from safelight.providers.base import Done, Found, Gone, InputFile, Moved, Never, Prediction
from safelight.providers.superduperai import SuperDuperAI, Timings
from tests.doubles.emulated import Emulated
from tests.doubles.heard import Heard, followed

from .conftest import adapter, image, video

Runs = Callable[[Prediction], list[dict[str, Any]]]
ONCE_AN_HOUR = Timings(poll=3600.0, poll_most=3600.0)


@pytest.mark.parametrize("make", [image, video])
async def test_it_makes_what_its_kind_asks_for(
    provider: SuperDuperAI, ours: Runs, make: Callable[[], Prediction]
) -> None:
    """One file that can be fetched, then Done; it ran once there."""
    asked, heard = make(), Heard()
    outcome = await followed(provider, asked, heard)
    assert isinstance(outcome, Done)
    (found,) = heard.of(Found)
    assert found.kind == asked.kind
    async with httpx2.AsyncClient() as http:
        answer = await http.get(found.url)
    assert answer.headers["content-type"] in ("image/png", "video/mp4")
    assert len(ours(asked)) == 1


async def test_what_was_used_is_told_in_units_that_have_a_price(provider: SuperDuperAI) -> None:
    """A picture by the file, a video by the second."""
    picture = await followed(provider, image(n=2))
    assert isinstance(picture, Done) and picture.usage == {"run": Decimal(1), "image": Decimal(2)}
    film = await followed(provider, video(params={"duration": 6}))
    assert isinstance(film, Done)
    assert film.usage == {"run": 1, "video": 1, "video_second": Decimal(6)}


async def test_progress_never_falls(provider: SuperDuperAI) -> None:
    """Progress is above 0 and below 1 and grows."""
    heard = Heard()
    await followed(provider, image(n=2), heard)
    told = [report.progress or 0.0 for report in heard.of(Moved)]
    assert told and told == sorted(told)
    assert all(0 < share < 1 for share in told)


async def test_it_is_followed_again_to_the_same_end(provider: SuperDuperAI) -> None:
    """Another adapter, as after a restart, finds the same files in the same order."""
    asked, first, second = image(n=3), Heard(), Heard()
    handle = await provider.start(asked)
    assert isinstance(await provider.follow(asked, handle, first), Done)
    assert isinstance(await provider.follow(asked, handle, second), Done)
    keys = [found.key for found in first.of(Found)]
    assert keys == [found.key for found in second.of(Found)] == handle.split(",")


async def test_a_cancel_ends_the_following_and_says_that_it_runs_on(
    provider: SuperDuperAI, emulator: Emulated, ours: Runs
) -> None:
    """Nothing stops it there: the end is not known to be one, the price is; it may be asked
    for again and again."""
    asked, heard = image(n=2), Heard()
    emulator.arm("late=600")
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, heard))
    await provider.cancel(asked, handle)
    await provider.cancel(asked, handle)
    outcome = await asyncio.wait_for(following, 20)
    assert isinstance(outcome, Never) and outcome.code == "outcome_unknown"
    assert outcome.usage is not None and outcome.usage["image"] == 2
    await provider.cancel(asked, handle)
    assert [run["outcome"] for run in ours(asked)] == [None]


async def test_a_follower_that_is_cancelled_leaves_nothing_behind(
    provider: SuperDuperAI, emulator: Emulated
) -> None:
    """Its channels are closed, and the next prediction runs."""
    emulator.arm("late=600@1")
    asked = image()
    handle = await provider.start(asked)
    following = asyncio.create_task(provider.follow(asked, handle, Heard()))
    await asyncio.to_thread(emulator.wait_asked, f"/api/v1/events/file.{handle}")
    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    assert isinstance(await followed(provider, image()), Done)


async def test_looking_up_starts_nothing(provider: SuperDuperAI, ours: Runs) -> None:
    """What never arrived is Gone, however often that is asked."""
    asked = image()
    for _ in range(2):
        assert isinstance(await provider.look_up(asked), Gone)
    assert ours(asked) == []


async def test_what_is_found_can_be_followed(emulator: Emulated) -> None:
    """By another adapter, as after a restart: the handle of a look-up is the start's own."""
    asked, one, two = image(n=2), adapter(emulator), adapter(emulator)
    async with one.open(), two.open():
        handle = await one.start(asked)
        found = await two.look_up(asked)
        assert found == handle
        assert isinstance(await two.follow(asked, found, Heard()), Done)


async def test_a_look_up_is_of_one_attempt(provider: SuperDuperAI) -> None:
    """Files of the first attempt are not taken for the second's."""
    asked = image()
    await provider.start(asked)
    second = image(uid=asked.uid, prompt=asked.prompt, attempt=2)
    assert isinstance(await provider.look_up(second), Gone)


async def test_files_are_uploaded_and_named_as_the_source(
    provider: SuperDuperAI, emulator: Emulated, tmp_path: Path
) -> None:
    """A video of a picture: the picture is there before the video is asked for."""
    picture = tmp_path / "still.png"
    picture.write_bytes(b"\x89PNG and more")
    asked = video(
        model="superduperai/comfyui/ltx", inputs=(InputFile(path=picture, media_type="image/png"),)
    )
    handle = await provider.start(asked)
    async with httpx2.AsyncClient(
        base_url=f"{emulator.url}/api/v1", headers=emulator.headers
    ) as http:
        made = (await http.get(f"/file/{handle}")).json()["video_generation"]
        (reference,) = made["references"]
        source = (await http.get(f"/file/{reference['reference_id']}")).json()
        assert reference["type"] == "source" and source["type"] == "image"
        assert (await http.get(source["url"])).content == picture.read_bytes()


async def test_the_channel_alone_tells_the_end(emulator: Emulated) -> None:
    """With looks an hour apart, the end is known when it comes."""
    slow = adapter(emulator, timings=ONCE_AN_HOUR)
    async with slow.open():
        assert isinstance(await asyncio.wait_for(followed(slow, image()), 20), Done)


async def test_a_look_that_hangs_keeps_nobody_waiting(emulator: Emulated) -> None:
    """What the channel tells is heard, and reported, while a look is not answered."""
    emulator.arm("hang=get")
    patient, heard = adapter(emulator, request_seconds=600.0), Heard()
    async with patient.open():
        outcome = await asyncio.wait_for(followed(patient, image(), heard), 20)
    assert isinstance(outcome, Done) and heard.of(Moved) and len(heard.of(Found)) == 1


@pytest.mark.parametrize("fault", ["lost-event", "cut", "hang=stream", "http-500=events"])
async def test_looks_alone_tell_the_end(
    provider: SuperDuperAI, emulator: Emulated, ours: Runs, fault: str
) -> None:
    """A file that is ready with no word of its channel is found by looking."""
    emulator.arm(fault)
    asked, heard = image(), Heard()
    assert isinstance(await asyncio.wait_for(followed(provider, asked, heard), 20), Done)
    assert len(heard.of(Found)) == 1 and len(ours(asked)) == 1


@pytest.mark.parametrize("fault", ["duplicate-event", "disorder", "disorder@11"])
async def test_words_that_come_twice_or_late_change_nothing(
    provider: SuperDuperAI, emulator: Emulated, fault: str
) -> None:
    """Each file is reported once, and there is one end."""
    emulator.arm(fault)
    heard = Heard()
    outcome = await asyncio.wait_for(followed(provider, video(), heard), 20)
    assert isinstance(outcome, Done) and len(heard.of(Found)) == 1


async def test_a_run_that_fails_is_told_and_paid(
    provider: SuperDuperAI, emulator: Emulated, ours: Runs
) -> None:
    """For good: the same again would be refused, and another seed would be paid again."""
    emulator.arm("fail")
    asked, heard = image(), Heard()
    outcome = await followed(provider, asked, heard)
    assert isinstance(outcome, Never) and outcome.code == "provider_failed"
    assert outcome.usage is not None and outcome.usage["image"] == 1
    assert heard.of(Found) == [] and len(ours(asked)) == 1


async def test_what_it_came_to_can_be_asked_later(
    provider: SuperDuperAI, emulator: Emulated
) -> None:
    """With a handle and without one; what never began is free."""
    asked = image()
    handle = await provider.start(asked)
    for known in (handle, None):
        account = await provider.account(asked, known)
        assert account is not None and account.usage is not None
        assert account.usage["image"] == 1
    never = await provider.account(image(), None)
    assert never is not None and never.charge is not None and never.charge.verdict == "free"
    emulator.arm("http-503=list")
    assert await provider.account(image(), None) is None
