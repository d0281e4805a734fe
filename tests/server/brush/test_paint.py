"""paint: the same spec gives the same file, and what the steps on the way show."""

from __future__ import annotations

from io import BytesIO

import msgspec
import numpy as np
import pytest
from PIL import Image

from safelight.brush.canvas import View
from safelight.brush.composition import compose
from safelight.brush.paint import paint, rendered
from safelight.brush.spec import BadSpec, PaintSpec
from safelight.brush.stage import prepare
from safelight.brush.tray import preview_size

from .conftest import Apart, Last, Look

SMALL = PaintSpec(prompt="a medieval monk", seed=7, width=256, height=256, steps=3)


def with_(**changes: object) -> PaintSpec:
    return msgspec.structs.replace(SMALL, **changes)


def test_the_same_spec_gives_the_same_bytes(last: Last) -> None:
    """Two runs of one spec end with the same file, whatever the number of steps."""
    assert last(paint(SMALL)).data == last(paint(with_(steps=8))).data


def test_other_prompts_look_different(last: Last, look: Look, apart: Apart) -> None:
    """Any two of several prompts are far apart, with the same seed."""
    prompts = ("a medieval monk", "sailboat at sunset", "galaxy", "jazz", "poppy meadow at noon")
    pictures = [look(last(paint(with_(prompt=prompt, steps=1))).data) for prompt in prompts]
    for i, one in enumerate(pictures):
        for other in pictures[i + 1 :]:
            assert apart(one, other) > 0.1


def test_another_seed_is_a_variation(last: Last, look: Look, apart: Apart) -> None:
    """Another seed changes the picture, but less than another prompt does."""
    first, second = (look(last(paint(with_(seed=seed, steps=1))).data) for seed in (1, 2**64 - 1))
    other = look(last(paint(with_(prompt="sailboat at sunset", seed=1, steps=1))).data)
    assert 0.02 < apart(first, second) < 0.7 * apart(first, other)


def test_shapes_are_the_seeds() -> None:
    """With light, horizon and palette kept, another seed still draws other mountains."""
    view, one = View(160, 160), compose("mountains at noon", 1)
    other = msgspec.structs.replace(one, seed=2)
    first, second = (rendered(view, prepare(picture), None, 0.5) for picture in (one, other))
    assert np.abs(first - second)[80:].mean() > 0.03


@pytest.mark.parametrize(
    ("width", "height"), [(256, 256), (257, 301), (640, 384), (2048, 256), (256, 1100)]
)
def test_every_size_is_exact(last: Last, width: int, height: int) -> None:
    """Widths and heights come out to the pixel, in any shape."""
    result = last(paint(with_(width=width, height=height, steps=1)))
    with Image.open(BytesIO(result.data)) as image:
        image.load()
        assert (image.format, image.mode, image.size) == ("PNG", "RGB", (width, height))
    assert (result.media_type, result.width, result.height) == ("image/png", width, height)


def test_the_composition_is_the_same_at_every_size(last: Last, look: Look, apart: Apart) -> None:
    """A picture three times as large shows the same."""
    small = look(last(paint(with_(steps=1))).data)
    large = look(last(paint(with_(width=768, height=768, steps=1))).data)
    assert apart(small, large) < 0.03


def test_the_file_tells_its_origin(last: Last) -> None:
    """Prompt, seed and software stand in the file, in any script."""
    result = last(paint(with_(prompt="монах 修道士", seed=2**64 - 1, steps=1)))
    with Image.open(BytesIO(result.data)) as image:
        assert image.info["prompt"] == "монах 修道士"
        assert image.info["seed"] == "18446744073709551615"
        assert "Safelight" in image.info["Software"]


def test_the_origin_can_be_left_out(last: Last) -> None:
    """Without metadata the file holds nothing of the request."""
    result = last(paint(with_(metadata=False, steps=1)))
    assert b"monk" not in result.data
    with Image.open(BytesIO(result.data)) as image:
        assert not image.info


@pytest.mark.parametrize("steps", [1, 5, 40])
def test_as_many_steps_as_asked(steps: int) -> None:
    """Steps are counted from 1 to the total, and only the last one has the result."""
    seen = list(paint(with_(steps=steps)))
    assert [step.index for step in seen] == list(range(1, steps + 1))
    assert {step.total for step in seen} == {steps}
    assert [step.result is not None for step in seen] == [False] * (steps - 1) + [True]
    assert seen[-1].message == "Drying"


def test_the_darkroom_has_an_order() -> None:
    """Messages follow the work: exposing, developing, fixing, drying."""
    messages = [step.message for step in paint(with_(steps=20))]
    assert list(dict.fromkeys(messages)) == ["Exposing", "Developing", "Fixing", "Drying"]


def test_previews_are_small() -> None:
    """Each preview is a JPEG under 64 KiB whose longest side is 384 at most."""
    for step in paint(with_(width=800, height=500, steps=4)):
        assert step.preview is not None and step.preview.media_type == "image/jpeg"
        assert len(step.preview.data) < 64 * 1024
        with Image.open(BytesIO(step.preview.data)) as image:
            assert image.format == "JPEG" and image.size == (384, 240)


def test_previews_develop(look: Look, apart: Apart) -> None:
    """The first preview is red and faint; each is nearer the result; the last one shows it."""
    seen = list(paint(with_(prompt="sailboat at sea", steps=8)))
    assert seen[-1].result is not None
    end = look(seen[-1].result.data)
    pictures = [look(step.preview.data) for step in seen if step.preview]
    red, _, blue = pictures[0].mean(axis=(0, 1))
    assert red > 3 * blue and pictures[0].std() > 0.01
    away = [apart(picture, end) for picture in pictures]
    assert away[0] > 0.2 and away[-1] < 0.02
    assert np.all(np.diff(away[3:]) <= 0.005)


@pytest.mark.parametrize(
    "changes",
    [
        {"width": 255},
        {"width": 2049},
        {"height": 0},
        {"steps": 0},
        {"seed": -1},
        {"seed": 2**64},
        {"strength": 1.5},
    ],
    ids=str,
)
def test_a_bad_spec_is_refused_before_any_work(changes: dict[str, object]) -> None:
    """A value outside its limits is named, with what was found and expected."""
    field, value = next(iter(changes.items()))
    with pytest.raises(BadSpec, match=f"{field}: found {value}, expected"):
        paint(with_(**changes))


SUBJECTS = {
    "mountains": "mountains castle path oak",
    "hills": "hills monk church windmill cottage",
    "forest": "forest deer night",
    "pines": "pine forest autumn",
    "sea": "sea boat ship whale lighthouse beach person storm",
    "lake": "lake cottage cat snow aurora",
    "desert": "desert astronaut robot flock day",
    "city": "city neon person boat rain",
    "town": "town castle cat dusk",
    "space": "space rocket astronaut cat",
    "meadow": "meadow sunflower dog blossom balloon",
    "lavender": "lavender tulip field at noon",
    "abstract": "abstract jazz person",
    "nothing": "",
    "long": "word " * 4000,
}


@pytest.mark.parametrize("prompt", SUBJECTS.values(), ids=SUBJECTS.keys())
def test_every_subject_can_be_painted(prompt: str) -> None:
    """Every scene with its props gives a picture with light and dark in it, of real numbers."""
    sheet = rendered(View(*preview_size(1000, 400)), prepare(compose(prompt, 3)), None, 0.5)
    assert np.isfinite(sheet).all()
    assert 0 <= sheet.min() and sheet.max() <= 1
    assert sheet.std() > 0.04
