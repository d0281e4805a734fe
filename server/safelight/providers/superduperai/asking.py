"""What a prediction is asked for with, and what it will have used: two readings of the same.

Files that it starts from are uploaded first; nothing runs because of that. The price is
taken when a create is taken in, for everything asked for, and is not given back.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from safelight_protocol.prices import Usage, used

from ..base import Prediction
from .client import Client
from .offers import durations
from .shapes import File, Offer, as_number

SECONDS = 5.0
"""Of a video, where neither the request nor the offer says it."""

OURS: Mapping[str, tuple[str, ...]] = {
    "image": ("negative_prompt", "width", "height", "steps", "shot_size", "style_name"),
    "video": ("negative_prompt", "width", "height", "aspect_ratio"),
}
"""Parameters that are handed on under their own names."""


async def references(client: Client, prediction: Prediction) -> list[dict[str, str]]:
    """The prediction's files, brought there. Raises Trouble, and FileNotFoundError for one
    that has been deleted."""
    told = []
    for number, given in enumerate(prediction.inputs):
        data = await anyio.Path(given.path).read_bytes()
        suffix = given.media_type.partition("/")[2]
        file = await client.upload(f"input-{number}.{suffix}", data, given.media_type)
        told.append({"type": "source", "reference_id": file.id})
    return told


def body_of(
    prediction: Prediction, offer: Offer, references: list[dict[str, str]]
) -> dict[str, Any]:
    """The body of its create."""
    given = prediction.params
    config: dict[str, Any] = {
        "prompt": prediction.prompt,
        "seed": prediction.seed,
        "generation_config_name": offer.name,
        "references": references,
    }
    config |= {name: given[name] for name in OURS[prediction.kind] if name in given}
    if prediction.kind == "video":
        config["duration"] = seconds_of(prediction, offer)
    else:
        config |= {"batch_size": prediction.n, "entity_ids": []}
    return {"project_id": None, "scene_id": None, "config": config}


def seconds_of(prediction: Prediction, offer: Offer) -> float:
    """How long a video is asked for: as the request says, else the first length that the offer
    names, else the usual one."""
    asked = as_number(prediction.params.get("duration"))
    if asked is not None:
        return asked
    return next(iter(durations(offer)), SECONDS)


def usage_of(prediction: Prediction, files: int, file: File | None = None) -> Usage:
    """What a create that was taken in has used, whatever became of its files: their number,
    or the seconds that were asked for. `file` is one of them, where one was seen."""
    if prediction.kind != "video":
        return used({"run": 1, "image": files})
    asked = as_number(prediction.params.get("duration"))
    seconds = asked if asked is not None else file and file.duration
    return used({"run": 1, "video": files, "video_second": seconds})
