"""How models make what they give: painted, filmed or written by the emulator.

A model tells its work step by step, as a loop that draws a bar on its standard error does,
and counts what it made for the `metrics` of its prediction. What each of these reads of the
input is in the fields of the models that use it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from ..painting import film, picture
from ..prose import answer, pieces, tokens

ASPECTS = {"1:1": (256, 256), "16:9": (320, 180), "9:16": (180, 320), "4:3": (288, 216)}
FORMATS = {"webp": "image/webp", "png": "image/png", "jpg": "image/jpeg"}


class Failure(Exception):
    """The model raises; the prediction fails with this text."""


class Work(Protocol):
    """What a model does its work with."""

    input: dict[str, Any]
    seed: int

    async def step(self, done: int, of: int) -> None:
        """A step is done; a line with a bar is logged."""

    async def rest(self, steps: float) -> None:
        """Take as long as that many steps, without a word."""

    async def file(self, name: str, content: bytes, media_type: str) -> str:
        """Keep a file; returns its address."""

    async def give(self, output: Any) -> None:
        """What there is of the output so far, all of it."""

    async def fetch(self, address: str) -> bytes:
        """The bytes of an input file. Raises Failure."""

    def count(self, **metrics: float) -> None:
        """Figures for `metrics`, as they are now."""


Make = Callable[[Work], Awaitable[None]]


async def pictures(work: Work) -> None:
    """As many as were asked for, told one after the other."""
    steps, count = work.input["num_inference_steps"], work.input["num_outputs"]
    for step in range(1, steps + 1):
        await work.step(step, steps)
    made = []
    for number in range(count):
        made.append(await _painted(work, number))
        work.count(image_count=len(made))
        await work.give(list(made))


async def one_picture(work: Work) -> None:
    """One, with or without another to begin with."""
    if work.input.get("image_prompt"):
        await work.fetch(work.input["image_prompt"])
    for step in range(1, 9):
        await work.step(step, 8)
    made = await _painted(work, 0)
    work.count(image_count=1)
    await work.give(made)


async def _painted(work: Work, number: int) -> str:
    ending = work.input.get("output_format", "png")
    content = picture(
        work.input["prompt"],
        seed=work.seed + number,
        size=ASPECTS[work.input["aspect_ratio"]],
        kind={"jpg": "jpeg"}.get(ending, ending),
    )
    return await work.file(f"out-{number}.{ending}", content, FORMATS[ending])


async def from_still(work: Work) -> None:
    """A film that begins with its `image`, paid for as one."""
    await _film(work, await work.fetch(work.input["image"]), frames=12)
    work.count(video_output_count=1)


async def seconds_of_film(work: Work) -> None:
    """A film of so many seconds, paid by them; it begins with a still if there is one."""
    stills = (work.input.get(name) for name in ("first_frame_image", "start_image", "image"))
    still = next(filter(None, stills), None)
    seconds = work.input["duration"]
    await _film(work, await work.fetch(still) if still else None, frames=seconds * 4)
    work.count(video_output_duration_seconds=seconds)


async def _film(work: Work, still: bytes | None, frames: int) -> None:
    try:
        content = film(work.input["prompt"], seed=work.seed, frames=frames, start=still)
    except ValueError:
        raise Failure("cannot identify image file") from None
    for step in range(1, 11):
        await work.step(step, 10)
    await work.give(await work.file("output.webp", content, "image/webp"))


async def words(work: Work) -> None:
    """A text, told piece by piece."""
    asked = f"{work.input['system_prompt']} {work.input['prompt']}"
    work.count(input_token_count=tokens(asked), output_token_count=0)
    told: list[str] = []
    for piece in pieces(answer(work.input["prompt"], work.seed))[: work.input["max_tokens"]]:
        await work.rest(0.2)
        told.append(piece)
        work.count(input_token_count=tokens(asked), output_token_count=len(told))
        await work.give(list(told))


async def lantern(work: Work) -> None:
    """One picture in any number of steps, or an exception in its place."""
    steps = work.input["steps"]
    for step in range(1, steps + 1):
        await work.step(step, steps)
    if work.input["fail"]:
        raise Failure("ValueError: the lantern was told to fail")
    await work.give(await _painted(work, 0))
