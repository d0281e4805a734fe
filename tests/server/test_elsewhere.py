"""An attempt whose backend is at another address now: nobody is asked about it."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.elsewhere import Elsewhere
from safelight.providers.base import Failure, Prediction, Unclear
from tests.doubles.workshop import WorkshopProvider

PREDICTION = Prediction(
    uid="u1",
    attempt=1,
    kind="image",
    model="comfyui/txt2img",
    prompt="p",
    params={},
    seed=1,
    n=1,
    backend="gpu",
    place="http://old",
)


@pytest.mark.parametrize("billed", [False, True])
async def test_nothing_of_it_is_known_or_done(billed: bool) -> None:
    """Whatever is asked is unclear, and says where it was begun and where the backend is;
    what it may cost is still its provider's business."""
    gone = Elsewhere(WorkshopProvider({}, billed=billed), "http://new")
    said = Unclear("it was begun when gpu was at http://old, and is at http://new now")

    async def report(told: Any) -> None:
        raise AssertionError("there is nothing to report")

    async with gone.open():
        assert await gone.look_up(PREDICTION) == said
        assert await gone.follow(PREDICTION, "h", report) == said
        await gone.cancel(PREDICTION, "h")
        with pytest.raises(Failure) as failed:
            await gone.start(PREDICTION)
    assert failed.value.outcome == said
    assert (gone.name, gone.billed, gone.resumable) == ("comfyui", billed, True)
