"""Which field of a model a file goes into that a prediction starts from.

Files are taken in their order, each by the first field that is free and takes its sort: a
picture goes into `image` before it goes into `mask`, and into a field for videos never. A
field that takes a list takes all that are left of its sort. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from safelight_protocol.fields import Wrong

from ..base import InputFile
from .schema import Fields
from .values import is_file, is_files

FIRST = (
    "image",
    "input_image",
    "image_input",
    "init_image",
    "first_frame_image",
    "start_image",
    "first_frame",
    "input_images",
    "images",
    "img",
)
"""Fields for pictures that go before all others; else they are taken as the model has them."""

SORTS = {"video": "video", "audio": "audio", "sound": "audio", "mask": "", "image": "image"}
"""What a part of a field's name says of what it takes. A mask is only taken in last place."""


class Placed(msgspec.Struct, frozen=True):
    """A file's field; `many` where it is one of a list."""

    field: str
    many: bool


def placed(inputs: Sequence[InputFile], fields: Fields, taken: Iterable[str]) -> list[Placed]:
    """Where each file goes. Raises Wrong for one too many, `at` its place."""
    free = [name for name in _ordered(fields) if name not in set(taken)]
    count = len(free)
    made: list[Placed] = []
    for place, given in enumerate(inputs):
        field = next((name for name in free if _takes(name, given.media_type)), None)
        if field is None:
            what = f"at most {place}" if count else "none"
            raise Wrong(
                f"{what}: the model has no other field for it", str(place), given.media_type
            )
        many = is_files(fields[field])
        most = fields[field].get("maxItems")
        made.append(Placed(field, many))
        if not many or (isinstance(most, int) and _count(made, field) >= most):
            free.remove(field)
    return made


def filled(placed: Sequence[Placed], addresses: Sequence[str]) -> dict[str, Any]:
    """The fields with the addresses of the files in them."""
    made: dict[str, Any] = {}
    for where, address in zip(placed, addresses, strict=True):
        if where.many:
            made.setdefault(where.field, []).append(address)
        else:
            made[where.field] = address
    return made


def sort_of(field: str) -> str | None:
    """What a field takes by its name: `image`, `video`, `audio`; None if it does not say."""
    lowered = field.lower()
    return next((sort for part, sort in SORTS.items() if part in lowered), None) or None


def _ordered(fields: Fields) -> list[str]:
    files = [name for name, one in fields.items() if is_file(one) or is_files(one)]
    first = [name for name in FIRST if name in files]
    rest = [name for name in files if name not in first]
    return [*first, *(r for r in rest if "mask" not in r), *(r for r in rest if "mask" in r)]


def _takes(field: str, media_type: str) -> bool:
    wanted, sort = media_type.partition("/")[0], sort_of(field)
    return sort is None or sort == wanted


def _count(placed: Sequence[Placed], field: str) -> int:
    return sum(one.field == field for one in placed)
