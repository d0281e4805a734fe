"""The models that the emulator has, and what each takes.

Names and inputs are those of models that Replicate hosts, so that settings and rows written
for one work for the other; what comes out is the emulator's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from .making import (
    ASPECTS,
    FORMATS,
    Make,
    from_still,
    lantern,
    one_picture,
    pictures,
    seconds_of_film,
    words,
)
from .schema import Field

URI = {"format": "uri", "type": "string"}


class Model(msgspec.Struct, frozen=True):
    """`official` ones have no version that may be named and are paid by what they make.
    `versions` are newest first."""

    name: str
    about: str
    fields: tuple[Field, ...]
    output: Mapping[str, Any]
    make: Make
    official: bool = True
    age: int = 1

    @property
    def versions(self) -> list[str]:
        """Ids of its versions, newest first."""
        return [
            hashlib.sha256(f"{self.name} {number}".encode()).hexdigest()
            for number in range(self.age, 0, -1)
        ]

    @property
    def streams(self) -> bool:
        """Whether its output comes in pieces that can be read as a stream of events."""
        return bool(self.output.get("x-cog-array-type"))


PROMPT = Field("prompt", "string", "What to make")
SEED = Field("seed", "integer", "The same seed gives the same result", nullable=True)
ASPECT = Field("aspect_ratio", "string", "Shape", "1:1", choices=tuple(ASPECTS))
FORMAT = Field("output_format", "string", "File type", "webp", choices=tuple(FORMATS))

MODELS = (
    Model(
        "black-forest-labs/flux-schnell",
        "Pictures in a few steps",
        (
            PROMPT,
            ASPECT,
            Field("num_outputs", "integer", "How many", 1, least=1, most=4),
            Field("num_inference_steps", "integer", "Steps", 4, least=1, most=4),
            SEED,
            FORMAT,
            Field("output_quality", "integer", "Of jpg and webp", 80, least=0, most=100),
            Field("disable_safety_checker", "boolean", "Look away", False),
            Field("go_fast", "boolean", "Be quick", True),
        ),
        {"type": "array", "items": URI},
        pictures,
    ),
    Model(
        "black-forest-labs/flux-1.1-pro",
        "One picture, with or without one to begin with",
        (
            PROMPT,
            Field("image_prompt", "string", "What it shall be like", nullable=True, uri=True),
            ASPECT,
            SEED,
            FORMAT,
            Field("safety_tolerance", "integer", "1 is strict", 2, least=1, most=6),
        ),
        URI,
        one_picture,
    ),
    Model(
        "wan-video/wan-2.2-i2v-fast",
        "A film that begins with a picture",
        (
            Field("image", "string", "The first frame", uri=True),
            PROMPT,
            Field("num_frames", "integer", "Frames", 81, least=81, most=121),
            Field("resolution", "string", "Height", "480p", choices=("480p", "720p")),
            SEED,
        ),
        URI,
        from_still,
    ),
    Model(
        "minimax/video-01",
        "A film of words, or of a first frame",
        (
            PROMPT,
            Field("first_frame_image", "string", "The first frame", nullable=True, uri=True),
            Field("duration", "integer", "Seconds", 6, choices=(6, 10)),
            Field("prompt_optimizer", "boolean", "Write the prompt better", True),
            SEED,
        ),
        URI,
        seconds_of_film,
    ),
    Model(
        "bytedance/seedream-3",
        "One picture",
        (
            PROMPT,
            ASPECT,
            Field("guidance_scale", "number", "How close", 2.5, least=1, most=10),
            SEED,
        ),
        URI,
        one_picture,
    ),
    *(
        Model(
            f"bytedance/seedance-1-{size}",
            "A film of words, or of a picture",
            (
                PROMPT,
                Field("image", "string", "The first frame", nullable=True, uri=True),
                Field("duration", "integer", "Seconds", 5, least=2, most=12),
                Field("resolution", "string", "Height", "720p", choices=("480p", "720p", "1080p")),
                ASPECT,
                Field("fps", "integer", "Frames a second", 24, choices=(24,)),
                Field("camera_fixed", "boolean", "Hold still", False),
                SEED,
            ),
            URI,
            seconds_of_film,
        )
        for size in ("lite", "pro")
    ),
    Model(
        "kwaivgi/kling-v2.1",
        "A film that begins with a picture",
        (
            PROMPT,
            Field("start_image", "string", "The first frame", uri=True),
            Field("duration", "integer", "Seconds", 5, choices=(5, 10)),
            Field("mode", "string", "How fine", "standard", choices=("standard", "pro")),
            Field("negative_prompt", "string", "What it shall not be", ""),
        ),
        URI,
        seconds_of_film,
    ),
    Model(
        "meta/meta-llama-3-8b-instruct",
        "Text, piece by piece",
        (
            PROMPT,
            Field("system_prompt", "string", "Who it is", "You are a helpful assistant"),
            Field("max_tokens", "integer", "At most", 512, least=1, most=4096),
            Field("temperature", "number", "How free", 0.6, least=0, most=5),
            SEED,
        ),
        {
            "type": "array",
            "items": {"type": "string"},
            "x-cog-array-type": "iterator",
            "x-cog-array-display": "concatenate",
        },
        words,
    ),
    Model(
        "emulated/lantern",
        "A community model: named by its version, paid by the second, and told to fail",
        (
            PROMPT,
            Field("steps", "integer", "Steps", 4, least=1, most=50),
            ASPECT,
            SEED,
            FORMAT,
            Field("fail", "boolean", "Raise when all is done", False),
        ),
        URI,
        lantern,
        official=False,
        age=2,
    ),
)

BY_NAME = {model.name: model for model in MODELS}
BY_VERSION = {version: model for model in MODELS for version in model.versions}
DEPLOYMENTS = {"emulated/lantern-at-home": BY_NAME["emulated/lantern"]}
