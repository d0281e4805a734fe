"""Models by name and by label, and what they take, from the provider's own list."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import Checking, InputFile
from safelight.providers.superduperai import SuperDuperAI, Timings
from safelight.providers.superduperai.asking import body_of
from safelight.providers.superduperai.offers import Offers
from safelight.providers.superduperai.shapes import Offer
from safelight_protocol.codes import Refused
from tests.doubles.emulated import Emulated

from .conftest import HASTY, adapter, image, video


async def problems(provider: SuperDuperAI, wanted: Any) -> dict[str, Any]:
    """The fields that are refused, with what is expected of each."""
    with pytest.raises(Refused) as refused:
        await provider.check(wanted)
    assert refused.value.code.name == "invalid"
    return {str(row["field"]): row["expected"] for row in refused.value.details}


async def test_it_can_be_asked_beforehand(provider: SuperDuperAI) -> None:
    """What fits is taken in silence."""
    assert isinstance(provider, Checking)
    await provider.check(image(n=3, params={"width": 512, "style_name": "flux_noir"}))
    await provider.check(video(params={"duration": 8}))


@pytest.mark.parametrize(
    "model",
    [
        "google-cloud/veo2",
        "superduperai/google-cloud/veo2",
        "superduperai/google-veo2-image-to-video",
        "Google VEO2 (Image-to-Video)",
    ],
)
async def test_a_model_is_found_by_name_and_by_label(provider: SuperDuperAI, model: str) -> None:
    """With our prefix or without, and by a label that is written as a name."""
    schema = await provider.schema(model)
    assert schema is not None
    assert schema["properties"]["duration"]["enum"] == [5, 6, 7, 8]


async def test_what_does_not_fit_is_named(provider: SuperDuperAI) -> None:
    """Every field that an offer does not take, each with what it would."""
    wide = image(
        model="superduperai/azure-openai/gpt-image-1",
        n=4,
        seed=2**64 - 1,
        params={"width": 2048, "height": 64, "style_name": "flux_nor"},
    )
    told = await problems(provider, wide)
    assert told.keys() == {"n", "seed", "params.width", "params.style_name"}
    assert told["params.width"] == "at most 1536"
    assert "flux_noir" in told["params.style_name"]
    long = await problems(provider, video(params={"duration": 9}))
    assert long == {"params.duration": "one of 5, 6, 7, 8 (seconds)"}
    still = await problems(provider, image(model="superduperai/google-cloud/veo2-text2video"))
    assert still == {"kind": "video, which is what it makes"}


async def test_what_starts_from_a_picture_needs_one(provider: SuperDuperAI) -> None:
    """A sound is none."""
    model, sound = "superduperai/comfyui/ltx", InputFile(path=Path(), media_type="audio/mpeg")
    for inputs in ((), (sound,)):
        told = await problems(provider, video(model=model, inputs=inputs))
        assert told == {"inputs": "a file of kind image to start from"}
    picture = InputFile(path=Path(), media_type="image/png")
    await provider.check(video(model=model, inputs=(picture,)))


async def test_a_model_that_is_not_there_is_refused(provider: SuperDuperAI) -> None:
    """With those of its kind that are."""
    told = await problems(provider, image(model="superduperai/comfyui/fluxx"))
    assert "comfyui/flux" in told["model"] and "veo2" not in told["model"]
    assert await provider.schema("superduperai/comfyui/fluxx") is None


async def test_the_list_is_asked_for_once_for_many(
    provider: SuperDuperAI, emulator: Emulated
) -> None:
    """What is young enough is not asked for again, except for a name that it does not have."""
    before = emulator.asked("GET", "/api/v1/generation-config")
    for _ in range(3):
        await provider.check(image())
    assert emulator.asked("GET", "/api/v1/generation-config") == before + 1


async def test_an_old_list_is_better_than_none(emulator: Emulated) -> None:
    """A provider that cannot say what it has is unreachable, until it has said it once."""
    impatient = adapter(emulator, timings=Timings(fresh=0.0))
    async with impatient.open():
        emulator.arm("http-503=config")
        with pytest.raises(Refused) as refused:
            await impatient.check(image())
        assert refused.value.code.name == "provider_unreachable"
        emulator.disarm()
        await impatient.check(image())
        emulator.arm("http-503=config")
        await impatient.check(image())


async def test_the_list_grows_old(emulator: Emulated) -> None:
    """Once it is older than it may be it is asked for anew."""
    now = [0.0]
    provider = adapter(emulator, timings=Timings(fresh=100.0))
    offers = Offers("sd", provider._client, Timings(fresh=100.0), lambda: now[0])
    async with provider.open():
        before = emulator.asked("GET", "/api/v1/generation-config")
        for at, asked in ((0.0, 1), (100.0, 1), (101.0, 2), (150.0, 2)):
            now[0] = at
            await offers.find("comfyui/flux")
            assert emulator.asked("GET", "/api/v1/generation-config") == before + asked


@pytest.mark.parametrize(
    ("params", "offered", "seconds"),
    [
        ({"duration": 7}, {"available_durations": [5, 6]}, 7.0),
        ({}, {"available_durations": [5, 6]}, 5.0),
        ({"duration": True}, {"available_durations": [True, 6]}, 6.0),
        ({}, {"available_durations": []}, 5.0),
        ({}, {}, 5.0),
    ],
)
def test_a_video_always_has_a_length(
    params: dict[str, Any], offered: dict[str, Any], seconds: float
) -> None:
    """It is the request's, else the first of the offer's, else the usual one."""
    offer = Offer("x", type="text_to_video", params=offered)
    body = body_of(video(params=params), offer, [])
    assert body["config"]["duration"] == seconds


def test_numbers_of_an_offer_are_read_with_care() -> None:
    """Free parameters may be anything; what is no number is none."""
    offer = Offer("x", params={"max_duration": "8", "price": True, "price_per_second": 0.4})
    assert offer.number("max_duration") is None
    assert offer.number("price") is None
    assert offer.number("price_per_second") == 0.4
    assert HASTY.poll < Timings().poll
