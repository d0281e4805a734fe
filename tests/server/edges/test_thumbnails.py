"""Thumbnails, text in PNGs and expired files, through the doors."""

from __future__ import annotations

import io
import zlib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from PIL import Image

from tests.doubles.painter import Painter
from tests.doubles.served import Served, served
from tests.doubles.turns import until


def picture(form: str, size: tuple[int, int], frames: int = 1, **options: Any) -> bytes:
    """Noise would be large; a gradient is not."""
    images = [
        Image.linear_gradient("L").resize(size).rotate(90 * n).convert("RGB") for n in range(frames)
    ]
    out = io.BytesIO()
    more = {"save_all": True, "append_images": images[1:]} if frames > 1 else {}
    images[0].save(out, form, **more, **options)
    return out.getvalue()


async def artifacts(house: Served, **fields: Any) -> list[dict[str, Any]]:
    """What a task made."""
    created = await house.create(**fields)
    end = (await house.events(created["task_id"]))[-1]
    made: list[dict[str, Any]] = end["result_data"]["artifacts"]
    return made


async def image_at(house: Served, url: str) -> Image.Image:
    """A picture as it is served."""
    answer = await house.http.get(url)
    assert answer.status_code == 200, answer.text
    return Image.open(io.BytesIO(answer.content))


async def swept(house: Served, files: int) -> None:
    """Return once so many files have expired."""
    await until(lambda: house.context.statistics()["swept_expired"] == files)


@pytest.mark.parametrize(
    ("form", "frames"), [("PNG", 1), ("JPEG", 1), ("WEBP", 1), ("WEBP", 3), ("GIF", 3), ("PNG", 3)]
)
async def test_a_picture_has_a_small_one(tmp_path: Path, form: str, frames: int) -> None:
    """A still WebP of at most 512 pixels, in its proportions; told in the event, the snapshot
    and the gallery alike."""
    painter = Painter(picture(form, (1500, 750), frames))
    async with served(tmp_path, scripted_provider=painter) as house:
        (made,) = await artifacts(house, id="x")
        small = await image_at(house, made["thumbnail_url"])
        assert (small.format, small.size) == ("WEBP", (512, 256))
        assert not getattr(small, "is_animated", False)
        assert made["thumbnail_url"] == made["url"] + "/thumbnail"
        events = await house.events("x")
        assert [e["thumbnail_url"] for e in events if e["type"] == "artifact"] == [
            made["thumbnail_url"]
        ]
        page = (await house.http.get("/api/tasks")).json()["data"]["tasks"]
        assert page[0]["artifacts"] == [made]


async def test_a_small_picture_is_its_own_thumbnail(tmp_path: Path) -> None:
    """Nothing is drawn or stored for it."""
    painter = Painter(picture("PNG", (64, 32)))
    async with served(tmp_path, scripted_provider=painter) as house:
        (made,) = await artifacts(house)
        assert (await image_at(house, made["thumbnail_url"])).format == "PNG"
        assert house.context.artifacts.statistics()["artifacts_stored"] == 1


async def test_no_thumbnails_where_none_are_wanted_or_possible(tmp_path: Path) -> None:
    """Without the setting, of a film and of a picture too large to decode none is told, and
    whoever asks all the same is told so, or shown the picture itself."""
    film = b"\0\0\0\x18ftypmp42" + bytes(100)
    header = picture("PNG", (1, 1))
    bomb = _with_size(header, 100_000, 10_000)
    painter = Painter(film, bomb)
    async with served(tmp_path, scripted_provider=painter, png_text=False) as house:
        made = await artifacts(house)
        assert [one["thumbnail_url"] for one in made] == [None, None]
        assert (await house.http.get(made[1]["url"] + "/thumbnail")).content == bomb
        answer = await house.http.get(made[0]["url"] + "/thumbnail")
        assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    painter = Painter(picture("PNG", (900, 900)))
    async with served(tmp_path, scripted_provider=painter, thumbnail_quality=None) as house:
        assert (await artifacts(house))[0]["thumbnail_url"] is None


def _with_size(png: bytes, width: int, height: int) -> bytes:
    """A header that says so, whatever the picture is."""
    body = b"IHDR" + width.to_bytes(4, "big") + height.to_bytes(4, "big") + png[24:29]
    return png[:12] + body + zlib.crc32(body).to_bytes(4, "big") + png[33:]


async def test_a_png_says_what_it_was_made_of(tmp_path: Path) -> None:
    """Prompt, seed, model and task, in a chunk beside those that were there; its pixels, and
    every other file, are as they were made."""
    from PIL.PngImagePlugin import PngInfo

    theirs = PngInfo()
    theirs.add_text("workflow", '{"9": "SaveImage"}')
    png, jpeg = picture("PNG", (40, 20), pnginfo=theirs), picture("JPEG", (40, 20))
    painter = Painter(png, jpeg)
    async with served(tmp_path, scripted_provider=painter) as house:
        first, second = await artifacts(house, id="x", prompt="ein Mönch", seed=2**64 - 1)
        found = await image_at(house, first["url"])
        assert msgspec.json.decode(str(found.info["safelight"])) == {
            "prompt": "ein Mönch",
            "seed": str(2**64 - 1),
            "model": "scripted/image",
            "task_id": "x",
        }
        assert found.info["workflow"] == '{"9": "SaveImage"}'
        assert found.tobytes() == Image.open(io.BytesIO(png)).tobytes()
        assert (await house.http.get(second["url"])).content == jpeg
    async with served(tmp_path, scripted_provider=Painter(png), png_text=False) as house:
        (made,) = await artifacts(house)
        assert (await house.http.get(made["url"])).content == png


async def test_an_expired_file_is_gone_and_its_event_stays(tmp_path: Path) -> None:
    """By `artifact_retention_seconds`: its bytes and its thumbnail go, 410 says so, and its
    task still tells of it; a task that would start from it is refused."""
    painter = Painter(picture("PNG", (900, 300)))
    async with served(tmp_path, scripted_provider=painter) as house:
        (made,) = await artifacts(house, id="x")
        assert (await image_at(house, made["thumbnail_url"])).format == "WEBP"
    async with served(tmp_path, artifact_retention_seconds=0.0) as house:
        await swept(house, 2)
        for url in (made["url"], made["thumbnail_url"]):
            answer = await house.http.get(url)
            assert (answer.status_code, answer.json()["code"]) == (410, "gone")
        files = [path for path in (tmp_path / "artifacts").rglob("*") if path.is_file()]
        assert files == []
        task = (await house.http.get("/api/tasks/x")).json()["data"]
        assert task["artifacts"] == [made]
        shown = (await house.http.get(f"/api/images/{made['id']}")).json()["data"]
        assert (shown["url"], shown["thumbnail_url"]) == (None, None)
        for named in ({"artifact": made["id"]}, {"task": "x"}):
            body = {"kind": "image", "prompt": "p", "model": "scripted/image", "inputs": [named]}
            assert (await house.post("/api/tasks", body)).json()["code"] == "invalid"
        assert (await house.http.delete("/api/tasks/x")).status_code == 200
        assert (await house.http.get(made["url"])).status_code == 404
