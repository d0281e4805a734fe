"""clip: a file that moves, loops, and comes out the same every time."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from safelight.brush.clip import FRAMES, MAX_BYTES, clip, clip_size, frame_shown
from safelight.brush.composition import compose
from safelight.brush.scenes import falling
from safelight.brush.spec import BadSpec, PaintSpec, Step

SPEC = PaintSpec(prompt="a cat on a hill at noon", seed=5, width=320, height=256, steps=4)


@pytest.fixture(scope="module")
def steps() -> list[Step]:
    """One clip, rendered once for all tests."""
    return list(clip(SPEC))


@pytest.fixture
def film(steps: list[Step]) -> Iterator[Image.Image]:
    """The clip's file, opened."""
    assert steps[-1].result is not None
    with Image.open(BytesIO(steps[-1].result.data)) as image:
        yield image


def frame(film: Image.Image, number: int) -> np.ndarray:
    film.seek(number)
    return np.asarray(film.convert("RGB"), np.float32) / 255


def test_the_clip_is_an_animated_webp(steps: list[Step], film: Image.Image) -> None:
    """Two seconds at twelve frames a second, for ever, in a file of bounded size."""
    assert (film.format, film.size, film.n_frames) == ("WEBP", (320, 256), FRAMES)
    assert film.info["loop"] == 0
    assert steps[-1].result is not None and len(steps[-1].result.data) < MAX_BYTES
    assert steps[-1].result.media_type == "image/webp"


def test_it_moves_and_ends_where_it_began(film: Image.Image) -> None:
    """Neighbouring frames differ a little, nowhere much more, the last and the first included."""
    moves = [np.abs(frame(film, k) - frame(film, (k + 1) % FRAMES)).mean() for k in range(FRAMES)]
    assert float(np.median(moves)) > 0.003
    assert max(moves) < 3 * float(np.median(moves))


def test_steps_and_previews(steps: list[Step]) -> None:
    """As many steps as asked, each with a small preview."""
    assert [step.index for step in steps] == [1, 2, 3, 4]
    assert all(step.preview and len(step.preview.data) < 64 * 1024 for step in steps)
    assert [step.result is None for step in steps] == [True, True, True, False]


def test_the_same_spec_gives_the_same_clip(steps: list[Step]) -> None:
    """Bytes are the same again, in other steps too."""
    *_, again = clip(
        PaintSpec(**{f: getattr(SPEC, f) for f in SPEC.__struct_fields__} | {"steps": 1})
    )
    assert again.result == steps[-1].result


@pytest.mark.parametrize(
    ("asked", "size"),
    [((2048, 1024), (768, 384)), ((512, 512), (512, 512)), ((256, 2048), (96, 768))],
)
def test_clips_are_bounded(asked: tuple[int, int], size: tuple[int, int]) -> None:
    """The longest side is at most 768, in the same shape."""
    assert clip_size(*asked) == size


def test_what_falls_never_rises() -> None:
    """The way back shows the frames of the way out, unless it rains or snows."""
    assert len({frame_shown(k, still=True) for k in range(FRAMES)}) == FRAMES // 2 + 1
    assert [frame_shown(k, still=False) for k in range(FRAMES)] == list(range(FRAMES))
    assert falling(compose("hills in the rain", 1)) and falling(compose("snowy hills", 1))
    assert not falling(compose("hills at noon", 1))


def test_a_bad_spec_is_refused_before_any_work() -> None:
    """Limits are those of a picture."""
    with pytest.raises(BadSpec, match="width"):
        clip(PaintSpec(prompt="x", seed=1, width=100))
