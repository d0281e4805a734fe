"""What the brush is asked for and what it hands back, for pictures and clips alike.

`PaintSpec` is checked by `check` (limits stand here); callers have checked already
and told their own errors, so a `BadSpec` is the last line. A `BadInput` is about
the image that came with a request, and its message may be shown to its sender.
"""

from __future__ import annotations

import msgspec

MIN_SIDE, MAX_SIDE = 256, 2048
MAX_STEPS = 1000
MAX_SEED = 2**64 - 1


class BadSpec(Exception):
    """A value outside its limits: says which, what was found and what was expected."""


class BadInput(Exception):
    """The input image cannot be used; the message says why."""


class PaintSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One picture or clip.

    `width` and `height` are pixels, 256 to 2048. `steps` is how many steps are
    shown, 1 to 1000; it does not change the result. `strength` tells how far the
    painting moves away from the input image: 0 keeps it, 1 leaves a trace.
    `metadata` puts prompt, seed and software into the file.
    """

    prompt: str
    seed: int
    width: int = 1024
    height: int = 1024
    steps: int = 20
    negative: str = ""
    image: bytes = b""
    strength: float = 0.55
    metadata: bool = True


class Preview(msgspec.Struct, frozen=True):
    """A small picture of progress: longest side at most 384, under 64 KiB."""

    media_type: str
    data: bytes


class Result(msgspec.Struct, frozen=True):
    """The finished file."""

    media_type: str
    data: bytes
    width: int
    height: int


class Step(msgspec.Struct, frozen=True):
    """Step `index` of `total`, counted from 1; only the last one carries a result."""

    index: int
    total: int
    message: str
    preview: Preview | None = None
    result: Result | None = None


def check(spec: PaintSpec) -> None:
    """Raise `BadSpec` for a value outside its limits."""
    for name, value, low, high in (
        ("width", spec.width, MIN_SIDE, MAX_SIDE),
        ("height", spec.height, MIN_SIDE, MAX_SIDE),
        ("steps", spec.steps, 1, MAX_STEPS),
        ("seed", spec.seed, 0, MAX_SEED),
        ("strength", spec.strength, 0, 1),
    ):
        if not low <= value <= high:
            raise BadSpec(f"{name}: found {value}, expected {low} to {high}")


def message(index: int, total: int) -> str:
    """What the darkroom is doing at a step."""
    part = index / total
    if part <= 0.2 and index < total:
        return "Exposing"
    if part <= 0.7:
        return "Developing"
    return "Fixing" if part < 1 else "Drying"
