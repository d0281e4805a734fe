"""What the brush's tests share: pictures as arrays and how far apart they are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from safelight.brush.noise import Field
from safelight.brush.spec import Result, Step

Look = Callable[[bytes], Field]
Apart = Callable[[Field, Field], float]
Last = Callable[[Iterator[Step]], Result]


@pytest.fixture
def look() -> Look:
    """The pixels of an encoded image, 0 to 1."""

    def looked(data: bytes) -> Field:
        with Image.open(BytesIO(data)) as image:
            return np.asarray(image.convert("RGB"), np.float32) / 255

    return looked


@pytest.fixture
def apart() -> Apart:
    """The mean absolute difference of two pictures, each seen at 32 x 32 points."""

    def small(pixels: Field) -> Field:
        image = Image.fromarray((pixels * 255).astype(np.uint8)).resize((32, 32))
        return np.asarray(image, np.float32) / 255

    return lambda one, other: float(np.abs(small(one) - small(other)).mean())


@pytest.fixture
def last() -> Last:
    """The result of a run that has one."""

    def ended(steps: Iterator[Step]) -> Result:
        *_, step = steps
        assert step.result is not None
        return step.result

    return ended
