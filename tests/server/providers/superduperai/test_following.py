"""The files of one create while they cannot be asked for: what of that is told."""

from __future__ import annotations

from typing import Any, cast

import anyio
import anyio.lowlevel
import pytest

from safelight.providers.base import Done, Moved
from safelight.providers.http import Fault, Trouble
from safelight.providers.superduperai.client import Client
from safelight.providers.superduperai.following import Following
from safelight.providers.superduperai.pace import Pace, Timings
from safelight.providers.superduperai.shapes import File
from tests.doubles.heard import prediction

FILES = ["a", "b", "c"]
SILENT = "no word from SuperDuperAI, which is asked again"


class Away:
    """A client whose first `looks` at all files come to nothing."""

    url, headers = "http://127.0.0.1:9", dict[str, str]()

    def __init__(self, looks: int) -> None:
        self._left = looks * len(FILES)

    async def file(self, id: str) -> File:
        """The file, which is done, once it can be asked for."""
        self._left -= 1
        if self._left >= 0:
            raise Trouble(Fault(sent=True, why="it did not answer in time"))
        return File(id, url=f"/{id}.png")


@pytest.mark.parametrize(("looks", "told"), [(1, []), (2, [SILENT]), (5, [SILENT])])
async def test_one_look_in_vain_is_a_moments_trouble(looks: int, told: list[str]) -> None:
    """Of however many files: only a second one in a row is told, and that once."""
    reports: list[Any] = []

    async def report(one: Any) -> None:
        reports.append(one)

    pace = Pace(Timings(), lambda seconds: anyio.lowlevel.checkpoint())
    client = cast("Client", Away(looks))
    following = Following(client, pace, prediction(n=3), FILES, report)
    with anyio.fail_after(10):
        assert isinstance(await following.run(), Done)
    messages = [one.message for one in reports if isinstance(one, Moved)]
    assert [one for one in messages if one is not None] == told
