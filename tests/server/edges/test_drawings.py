"""Thumbnails are made when they are first asked for: once, kept, and never broken."""

from __future__ import annotations

import asyncio
import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from safelight.store import Drawn, Store, open_store
from safelight_protocol.codes import Refused
from tests.doubles.painter import Painter
from tests.doubles.served import Served, served

SETTINGS: dict[str, Any] = {"png_text": False}


def picture(size: tuple[int, int] = (1024, 1024), colour: str = "red") -> bytes:
    """Large enough for a thumbnail."""
    out = io.BytesIO()
    Image.new("RGB", size, colour).save(out, "PNG")
    return out.getvalue()


class _Ill:
    """A store that may refuse to note drawings."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self.ill = False
        self.noted = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    async def put(self, item: Any) -> Any:
        if isinstance(item, Drawn):
            self.noted += 1
            if self.ill:
                raise Refused("unavailable", "The store is ill.")
        return await self._store.put(item)


async def painted(house: Served, **fields: Any) -> list[dict[str, Any]]:
    """What a task made."""
    created = await house.create(**fields)
    end = (await house.events(created["task_id"]))[-1]
    made: list[dict[str, Any]] = end["result_data"]["artifacts"]
    return made


def stored(folder: Path) -> int:
    return sum(one.is_file() for one in (folder / "artifacts").rglob("*"))


async def test_the_event_waits_for_no_drawing(tmp_path: Path) -> None:
    """Its address is told, and nothing is made before it is asked for."""
    async with served(tmp_path, scripted_provider=Painter(picture()), **SETTINGS) as house:
        (made,) = await painted(house)
        assert made["thumbnail_url"] == made["url"] + "/thumbnail"
        assert stored(tmp_path) == 1
        answer = await house.http.get(made["thumbnail_url"])
        assert answer.headers["content-type"] == "image/webp"
        assert "immutable" in answer.headers["cache-control"]
        assert stored(tmp_path) == 2


async def test_many_who_ask_at_once_wait_for_one_drawing(tmp_path: Path) -> None:
    """And who asks later, also after a restart, is shown what was kept."""
    stores: list[_Ill] = []

    @asynccontextmanager
    async def opened(folder: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(folder, now) as store:
            stores.append(_Ill(store))
            yield stores[-1]

    given = SETTINGS | {"opened": opened}
    async with served(tmp_path, scripted_provider=Painter(picture()), **given) as house:
        (made,) = await painted(house)
        answers = await asyncio.gather(*(house.http.get(made["thumbnail_url"]) for _ in range(20)))
        assert len({answer.content for answer in answers}) == 1
        await house.http.get(made["thumbnail_url"])
        assert stores[0].noted == 1
    async with served(tmp_path, **given) as house:
        assert (await house.http.get(made["thumbnail_url"])).content == answers[0].content
        assert stores[1].noted == 0


async def test_a_drawing_that_cannot_be_kept_shows_the_picture(tmp_path: Path) -> None:
    """For now: it is not to be cached, and when the store is well there is a small one."""
    ill: list[_Ill] = []

    @asynccontextmanager
    async def opened(folder: Path, now: int) -> AsyncIterator[Any]:
        async with open_store(folder, now) as store:
            ill.append(_Ill(store))
            yield ill[-1]

    given = SETTINGS | {"opened": opened, "scripted_provider": Painter(picture())}
    async with served(tmp_path, **given) as house:
        (made,) = await painted(house)
        ill[0].ill = True
        answer = await house.http.get(made["thumbnail_url"])
        assert (answer.status_code, answer.content) == (200, picture())
        assert answer.headers["cache-control"] == "no-cache"
        ill[0].ill = False
        answer = await house.http.get(made["thumbnail_url"])
        assert answer.headers["content-type"] == "image/webp"


async def test_a_picture_that_cannot_be_decoded_is_shown_itself(tmp_path: Path) -> None:
    """A browser may make something of it; it is tried once only."""
    broken = picture()[:400]
    async with served(tmp_path, scripted_provider=Painter(broken), **SETTINGS) as house:
        (made,) = await painted(house)
        for _ in range(2):
            assert (await house.http.get(made["thumbnail_url"])).content == broken
        assert stored(tmp_path) == 1


async def test_two_pictures_of_equal_bytes_have_one_thumbnail(tmp_path: Path) -> None:
    """It goes with the last of them."""
    async with served(tmp_path, scripted_provider=Painter(picture()), **SETTINGS) as house:
        (first,), (second,) = await painted(house, id="a"), await painted(house, id="b")
        small = (await house.http.get(first["thumbnail_url"])).content
        assert (await house.http.delete("/api/tasks/a")).status_code == 200
        assert (await house.http.get(second["thumbnail_url"])).content == small
        assert (await house.http.get(first["thumbnail_url"])).status_code == 404
        assert (await house.http.delete("/api/tasks/b")).status_code == 200
        assert stored(tmp_path) == 0


@pytest.mark.parametrize("quality", [75, None])
async def test_the_shelf_tells_the_same_address(tmp_path: Path, quality: int | None) -> None:
    """As the event, before and after it was made."""
    painter = Painter(picture())
    given = SETTINGS | {"thumbnail_quality": quality}
    async with served(tmp_path, scripted_provider=painter, **given) as house:
        (made,) = await painted(house)
        shown = (await house.http.get(f"/api/images/{made['id']}")).json()["data"]
        assert shown["thumbnail_url"] == made["thumbnail_url"]
        assert (made["thumbnail_url"] is None) == (quality is None)
