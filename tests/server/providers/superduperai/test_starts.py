"""A create and its answers: what surely began nothing, and what is looked up instead."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import (
    Again,
    Done,
    Failure,
    Gone,
    InputFile,
    Never,
    Prediction,
    Unclear,
)
from safelight.providers.superduperai import SuperDuperAI
from safelight.settings import ProviderSettings
from tests.doubles.emulated import Emulated
from tests.doubles.heard import Heard, followed
from tests.doubles.sse_end import answered, sse_end

from .conftest import HASTY, adapter, image, video

Runs = Callable[[Prediction], list[dict[str, Any]]]


async def refused(provider: SuperDuperAI, asked: Prediction) -> Again | Never | Gone | Unclear:
    """The outcome of a start that fails."""
    with pytest.raises(Failure) as failure:
        await provider.start(asked)
    return failure.value.outcome


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ("unauthorized@1", Never, "provider_refused"),
        ("no-credit@1", Never, "provider_refused"),
        ("no-vip@1", Never, "provider_refused"),
        ("moderated@1", Never, "content_refused"),
        ("throttle=7@1", Again, "throttled"),
        ("http-500@1", Again, "provider_failed"),
        ("http-503@1", Again, "provider_failed"),
        ("integrity@1", Again, "provider_failed"),
    ],
)
async def test_a_create_that_began_nothing_is_free(
    provider: SuperDuperAI, emulator: Emulated, ours: Runs, fault: str, kind: type, code: str
) -> None:
    """Each refusal has its code and costs nothing; none of the provider's words is told. A 5xx
    is only believed to have begun nothing after a look at the list."""
    emulator.arm(fault)
    asked = image()
    outcome = await refused(provider, asked)
    assert isinstance(outcome, Again | Never)
    assert isinstance(outcome, kind) and outcome.code == code
    assert outcome.charge is not None and outcome.charge.verdict == "free"
    for word in ("Unauthorized", "Insufficient", "VIP", "policy", "Integrity", "Server Error"):
        assert word not in outcome.message
    assert ours(asked) == []


async def test_a_throttle_says_how_long(provider: SuperDuperAI, emulator: Emulated) -> None:
    """The provider's own wish is handed on."""
    emulator.arm("throttle=7@1")
    outcome = await refused(provider, image())
    assert isinstance(outcome, Again) and outcome.after_seconds == 7


async def test_a_repeat_wants_another_seed(provider: SuperDuperAI, ours: Runs) -> None:
    """What was made before, by whomever, is refused for its seed alone: another one may pass,
    and whose seed it is decides the policy."""
    asked = image()
    assert isinstance(await followed(provider, asked), Done)
    outcome = await refused(provider, image(prompt=asked.prompt))
    assert isinstance(outcome, Again) and outcome.fresh_seed
    assert isinstance(await followed(provider, image(prompt=asked.prompt, seed=8)), Done)
    assert len(ours(asked)) == 2


@pytest.mark.parametrize("fault", ["lost-answer@1", "hang@1"])
async def test_an_answer_that_is_lost_is_looked_up(
    emulator: Emulated, ours: Runs, fault: str
) -> None:
    """The start is in doubt, and nothing is sent again: the list has the files."""
    emulator.arm(fault)
    provider, asked = adapter(emulator, request_seconds=2.0), image(n=2)
    async with provider.open():
        assert isinstance(await refused(provider, asked), Unclear)
        handle = await provider.look_up(asked)
        assert isinstance(handle, str) and len(handle.split(",")) == 2
        assert isinstance(await provider.follow(asked, handle, Heard()), Done)
    assert len(ours(asked)) == 1


async def test_a_request_that_is_lost_never_began(emulator: Emulated, ours: Runs) -> None:
    """Whether it arrived is not known, until the list has shown that it did not, twice."""
    emulator.arm("lost-request@1")
    provider, asked = adapter(emulator), image()
    async with provider.open():
        assert isinstance(await refused(provider, asked), Unclear)
        assert isinstance(await provider.look_up(asked), Gone)
    assert ours(asked) == []


async def test_a_repeat_of_an_earlier_attempt_of_ours_is_that_attempt(
    emulator: Emulated, ours: Runs
) -> None:
    """A create arrives after it was looked for in vain: the second attempt is refused as a
    repeat, finds the first one's files and follows them. No other seed is drawn."""
    late, now = adapter(emulator), adapter(emulator)
    asked = image()
    async with late.open(), now.open():
        assert isinstance(await now.look_up(asked), Gone)
        handle = await late.start(asked)  # on its way all the time
        second = image(uid=asked.uid, prompt=asked.prompt, attempt=2)
        assert await now.start(second) == handle
        assert isinstance(await now.follow(second, handle, Heard()), Done)
    assert len(ours(asked)) == 1


async def test_a_repeat_that_is_nowhere_to_be_seen_stays_in_doubt(
    provider: SuperDuperAI, emulator: Emulated
) -> None:
    """A second attempt that is refused as a repeat, of files that no list shows, draws no
    other seed either: the first may run."""
    emulator.arm("integrity@1")
    assert isinstance(await refused(provider, image(attempt=2)), Unclear)


async def test_seeds_are_drawn_again_as_often_as_they_are_refused(
    provider: SuperDuperAI, emulator: Emulated, ours: Runs
) -> None:
    """The second refusal of one task is no sign of an attempt that was lost."""
    emulator.arm("integrity@1", "integrity@2")
    first = image()
    for attempt, seed in ((1, 7), (2, 8)):
        asked = image(uid=first.uid, prompt=first.prompt, attempt=attempt, seed=seed)
        outcome = await refused(provider, asked)
        assert isinstance(outcome, Again) and outcome.fresh_seed
    third = image(uid=first.uid, prompt=first.prompt, attempt=3, seed=9)
    assert isinstance(await followed(provider, third), Done)
    assert len(ours(first)) == 1


async def test_a_provider_that_is_not_there_began_nothing(emulator: Emulated) -> None:
    """No connection, no run: it may be tried again."""
    away = adapter(emulator, url="http://127.0.0.1:9")
    async with away.open():
        outcome = await refused(away, image())
    assert isinstance(outcome, Again) and outcome.code == "provider_unreachable"
    assert outcome.elsewhere


async def test_a_model_that_it_has_not_is_named(provider: SuperDuperAI, emulator: Emulated) -> None:
    """Nothing is sent for a model that no offer has."""
    before = emulator.asked("POST", "/api/v1/file")
    outcome = await refused(provider, image(model="superduperai/comfyui/gone"))
    assert isinstance(outcome, Never) and "comfyui/gone" in outcome.message
    film = await refused(provider, image(model="superduperai/comfyui/ltx"))
    assert isinstance(film, Never) and "of kind image" in film.message
    assert emulator.asked("POST", "/api/v1/file") == before


async def test_an_input_that_cannot_be_brought_begins_nothing(
    provider: SuperDuperAI, emulator: Emulated, ours: Runs, tmp_path: Path
) -> None:
    """An upload that fails is before everything that is paid."""
    picture = tmp_path / "still.png"
    picture.write_bytes(b"\x89PNG")
    emulator.arm("http-500=upload@1")
    asked = video(
        model="superduperai/comfyui/ltx", inputs=(InputFile(path=picture, media_type="image/png"),)
    )
    outcome = await refused(provider, asked)
    assert isinstance(outcome, Again) and outcome.charge is not None
    assert outcome.charge.verdict == "free" and ours(asked) == []


async def test_fields_that_it_does_not_take_are_named(provider: SuperDuperAI) -> None:
    """By their names and in our words."""
    outcome = await refused(provider, image(params={"width": "wide", "height": 64}))
    assert isinstance(outcome, Never) and outcome.code == "invalid_input"
    assert "width" in outcome.message and "Expected" not in outcome.message


async def test_the_key_is_never_told(emulator: Emulated) -> None:
    """Neither by the adapter's looks nor by what it says when it is refused."""
    stranger = adapter(emulator, key="sd-very-secret")
    async with stranger.open():
        outcome = await refused(stranger, image())
    assert "sd-very-secret" not in repr(outcome) + repr(stranger)
    assert isinstance(outcome, Never) and outcome.code == "provider_refused"


async def test_a_create_that_names_no_file_is_in_doubt() -> None:
    """It was taken in, so something may be made and paid: it is not begun anew."""
    offer = {"name": "comfyui/flux", "label": None, "type": "text_to_image", "params": {}}
    lists = [answered(200, {"items": [offer]}), answered(200, {"items": []})]
    async with sse_end([*lists, answered(200, [])]) as end:
        provider = SuperDuperAI(ProviderSettings(url=end.url, key="k"), timings=HASTY)
        async with provider.open():
            assert isinstance(await refused(provider, image()), Unclear)
    assert [one.line.startswith("POST") for one in end.asked] == [False, False, True]
