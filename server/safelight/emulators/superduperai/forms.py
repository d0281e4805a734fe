"""What may be asked of it: the bodies of creates and the queries of lists.

Whatever does not fit is refused as FastAPI refuses it: a list of places and reasons. What
is not known is ignored, as there.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar

import msgspec
from msgspec import Meta
from starlette.datastructures import QueryParams

ShotSize = Literal[
    "Extreme Long Shot",
    "Long Shot",
    "Medium Shot",
    "Medium Close-Up",
    "Close-Up",
    "Extreme Close-Up",
    "Two-Shot",
    "Detail Shot",
]
FileType = Literal["image", "video", "audio", "voiceover", "sound_effect", "music", "text", "other"]
Side = Annotated[int, Meta(ge=16, le=4096)]
Form = TypeVar("Form")


class Invalid(Exception):
    """What FastAPI says of a request that does not fit."""

    def __init__(self, detail: list[dict[str, Any]]) -> None:
        super().__init__("422")
        self.detail = detail


class Reference(msgspec.Struct):
    """A file that something is made from."""

    type: Literal["source", "style", "mask", "face", "voice"]
    reference_id: str


class ImageConfig(msgspec.Struct, kw_only=True):
    """What a picture is to be."""

    prompt: str
    negative_prompt: str = ""
    width: Side = 512
    height: Side = 512
    steps: Annotated[int, Meta(ge=1, le=200)] = 30
    shot_size: ShotSize | None = None
    seed: int | None = None
    generation_config_name: str
    batch_size: Annotated[int, Meta(ge=1, le=3)] | None = None
    style_name: str | None = None
    references: list[Reference] = []
    entity_ids: list[str] | None = None
    model_type: str | None = None


class VideoConfig(msgspec.Struct, kw_only=True):
    """What a video is to be."""

    prompt: str = ""
    negative_prompt: str = ""
    seed: int | None = None
    duration: Annotated[float, Meta(gt=0, le=60)] = 5
    width: Side | None = None
    height: Side | None = None
    aspect_ratio: Annotated[str, Meta(pattern=r"^\d+:\d+$")] | None = None
    generation_config_name: str
    references: list[Reference] = []
    model_type: str | None = None


class GenerateImage(msgspec.Struct, kw_only=True):
    """The body of generate-image."""

    project_id: str | None = None
    entity_id: str | None = None
    scene_id: str | None = None
    config: ImageConfig


class GenerateVideo(msgspec.Struct, kw_only=True):
    """The body of generate-video."""

    project_id: str | None = None
    scene_id: str | None = None
    config: VideoConfig


class Page(msgspec.Struct, kw_only=True):
    """The query of a list."""

    user_id: str | None = None
    project_id: str | None = None
    entity_id: str | None = None
    scene_id: str | None = None
    types: list[FileType] = []
    order_by: str = "created_at"
    order: Literal["ascendent", "descendent"] = "descendent"
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    offset: Annotated[int, Meta(ge=0)] = 0

    @property
    def where(self) -> dict[str, str]:
        """What files must belong to."""
        names = ("user_id", "project_id", "entity_id", "scene_id")
        asked = {name: getattr(self, name) for name in names}
        return {name: value for name, value in asked.items() if value}


def read_body(body: bytes, form: type[Form]) -> Form:
    """The body of a request. Raises Invalid."""
    try:
        return msgspec.json.decode(body, type=form)
    except msgspec.DecodeError as trouble:
        raise _invalid(trouble, "body") from None


def read_page(query: QueryParams) -> Page:
    """The query of a list. Raises Invalid."""
    given: Mapping[str, Any] = dict(query.items()) | {"types": query.getlist("types")}
    try:
        return msgspec.convert(given, Page, strict=False)
    except msgspec.ValidationError as trouble:
        raise _invalid(trouble, "query") from None


def _invalid(trouble: Exception, part: str) -> Invalid:
    """`Expected x, got y - at $.config.width`, in FastAPI's words."""
    said, _, place = str(trouble).partition(" - at ")
    loc: list[str | int] = [part]
    for name, number in re.findall(r"\.(\w+)|\[(\d+)\]", place):
        loc.append(name or int(number))
    missing = re.search(r"missing required field `(\w+)`", said)
    if missing:
        loc.append(missing[1])
        said = "Field required"
    kind = "missing" if missing else "value_error"
    return Invalid([{"type": kind, "loc": loc, "msg": said, "input": None}])
