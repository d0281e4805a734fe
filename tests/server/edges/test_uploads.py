"""Uploads: sent as bytes or as a form, known again, bounded, and what a task starts from."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest

from safelight.client import connect
from safelight.edges.multipart import Multipart, boundary_of
from safelight.providers.base import Done, Outcome, Prediction, Report
from safelight.providers.scripted import PIXEL, Scripted
from safelight_protocol.codes import Refused
from tests.doubles.deaf import line_to
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

TOKENS = {"secret-a": "ann", "secret-b": "bob"}
ANN = {"authorization": "Bearer secret-a"}
BOB = {"authorization": "Bearer secret-b"}


class Taker(Scripted):
    """Notes what its inputs were."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[tuple[str, bytes]] = []

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        self.inputs += [(one.media_type, one.path.read_bytes()) for one in prediction.inputs]
        return Done()


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, scripted_provider=Taker(), tokens=TOKENS) as made:
        yield made


def files(folder: Path) -> list[Path]:
    return [path for path in (folder / "artifacts").rglob("*") if path.is_file()]


async def send(house: Served, data: bytes = PIXEL, who: dict[str, str] = ANN) -> httpx2.Response:
    headers = who | {"content-type": "image/jpeg"}  # which nobody believes
    return await house.http.post("/api/uploads", content=data, headers=headers)


async def create(house: Served, who: dict[str, str], **fields: Any) -> httpx2.Response:
    body = {"kind": "image", "prompt": "p", "model": "scripted/image"} | fields
    return await house.http.post("/api/tasks", json=body, headers=who)


async def test_bytes_become_an_upload(house: Served, tmp_path: Path) -> None:
    """What they are is read from them; they are served as they came, nothing put in."""
    answer = await send(house)
    assert answer.status_code == 201
    told = answer.json()["data"]
    assert told == {
        "id": told["id"],
        "url": f"/api/uploads/{told['id']}",
        "media_type": "image/png",
        "width": 1,
        "height": 1,
        "bytes": len(PIXEL),
    }
    shown = await house.http.get(told["url"])
    assert (shown.content, shown.headers["content-type"]) == (PIXEL, "image/png")
    part = await house.http.get(told["url"], headers={"range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"PNG")
    assert len(files(tmp_path)) == 1, "no thumbnail"


async def test_a_form_is_the_same(house: Served) -> None:
    """A field `file` among others, as browsers and curl -F send it."""
    form = {"file": ('a"b.png', PIXEL, "image/png"), "other": (None, b"x" * 5000)}
    answer = await house.http.post("/api/uploads", files=form, headers=ANN)
    assert answer.status_code == 201, answer.text
    assert answer.json()["data"] == (await send(house)).json()["data"]


async def test_the_same_bytes_are_the_same_upload(house: Served, tmp_path: Path) -> None:
    """Of one owner; so a request that names them is the same request. Another owner's are
    another upload of the same file."""
    first, second = await send(house), await send(house)
    theirs = await send(house, who=BOB)
    assert first.json()["data"] == second.json()["data"]
    assert theirs.json()["data"]["id"] != first.json()["data"]["id"]
    assert len(files(tmp_path)) == 1
    named = {"inputs": [{"upload": first.json()["data"]["id"]}], "reuse": "completed"}
    one, two = await create(house, ANN, **named), await create(house, ANN, **named)
    assert one.json()["data"]["task_id"] == two.json()["data"]["task_id"]
    assert (await house.http.delete(theirs.json()["data"]["url"], headers=BOB)).status_code == 200
    assert (await house.http.get(first.json()["data"]["url"])).content == PIXEL


async def test_a_task_starts_from_an_upload(house: Served) -> None:
    """Its provider gets the file."""
    id = (await send(house)).json()["data"]["id"]
    answer = await create(house, ANN, id="x", inputs=[{"upload": id}])
    assert answer.status_code == 202, answer.text
    async with asyncio.timeout(PATIENCE):
        await house.http.get("/api/tasks/x/events", headers=ANN)
    assert isinstance(house.scripted, Taker)
    assert house.scripted.inputs == [("image/png", PIXEL)]


@pytest.mark.parametrize("as_path", [True, False])
async def test_the_python_client_sends_files(house: Served, tmp_path: Path, as_path: bool) -> None:
    """By path or as bytes; the answer has what a task needs to name it."""
    file = tmp_path / "still.png"
    file.write_bytes(PIXEL)
    async with connect(house.url, token="secret-a") as client:
        sent = await client.upload(file if as_path else PIXEL)
        assert (sent.media_type, sent.width, sent.bytes) == ("image/png", 1, len(PIXEL))
        task = await client.create(
            kind="image", prompt="p", model="scripted/image", inputs=[{"upload": sent.id}]
        )
        assert task.status in ("queued", "processing", "completed")


async def test_anothers_upload_is_as_good_as_none(house: Served) -> None:
    """As an input and to delete, word for word; and without a token nothing is taken."""
    id = (await send(house)).json()["data"]["id"]
    told = []
    for name in (id, "z" * 32):
        answer = await create(house, BOB, inputs=[{"upload": name}])
        assert answer.status_code == 400
        told.append(answer.text.replace(name, "…"))
        gone = await house.http.delete(f"/api/uploads/{name}", headers=BOB)
        assert gone.status_code == 404
    assert told[0] == told[1]
    assert (await send(house, who={})).status_code == 401


@pytest.mark.parametrize(
    "named",
    [{"upload": 7}, {"upload": "x", "task": "y"}, {"upload": "x/../y"}, {"upload": None}, {}],
)
async def test_an_input_names_one_thing(house: Served, named: dict[str, Any]) -> None:
    """One of artifact, task and upload, by an id."""
    answer = await create(house, ANN, inputs=[named])
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["field"] == "inputs"


BAD = {
    "nothing": (b"", {}, "invalid"),
    "a page": (b"<html>hello", {"content-type": "image/png"}, "invalid"),
    "a script in a picture": (b"<svg onload='x()'/>", {}, "invalid"),
    "a broken header": (PIXEL[:20], {}, "invalid"),
    "a form without a file": (
        b'--b\r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--b--\r\n',
        {"content-type": "multipart/form-data; boundary=b"},
        "invalid",
    ),
    "a form without an end": (
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + PIXEL,
        {"content-type": "multipart/form-data; boundary=b"},
        "invalid",
    ),
    "two files": (
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n1\r\n' * 2 + b"--b--",
        {"content-type": "multipart/form-data; boundary=b"},
        "invalid",
    ),
    "too much": (PIXEL + bytes(10_000), {}, "too_large"),
    "too much in a form": (
        b'--b\r\nContent-Disposition: form-data; name="file"\r\n\r\n' + bytes(5000) + b"\r\n--b--",
        {"content-type": "multipart/form-data; boundary=b"},
        "too_large",
    ),
}


@pytest.mark.parametrize(("body", "headers", "code"), BAD.values(), ids=BAD)
@pytest.mark.parametrize("announced", [True, False], ids=["with a length", "in chunks"])
async def test_what_is_wrong_is_refused_and_leaves_nothing(
    tmp_path: Path, body: bytes, headers: dict[str, str], code: str, announced: bool
) -> None:
    """By a typed error, however it comes; nothing is kept of it."""

    async def pieces() -> AsyncIterator[bytes]:
        for at in range(0, len(body), 7):
            yield body[at : at + 7]

    async with served(tmp_path, max_upload_bytes=4096) as house:
        answer = await house.http.post(
            "/api/uploads", content=body if announced else pieces(), headers=headers
        )
        assert answer.json()["code"] == code, answer.text
    assert files(tmp_path) == []


async def test_a_quota_bounds_what_an_owner_keeps(tmp_path: Path) -> None:
    """One file above it is refused as a limit; a deletion makes room; another owner has room
    of its own; what is there already can always be sent again."""
    quota = {"upload_quota_bytes": 2 * 1024, "tokens": TOKENS}
    large = PIXEL + bytes(1500)
    async with served(tmp_path, **quota) as house:
        first = await send(house, large)
        assert first.status_code == 201
        refused = await send(house, large + b"1")
        assert (refused.status_code, refused.json()["code"]) == (429, "too_many")
        assert (await send(house, large)).status_code == 201
        assert (await send(house, large + b"1", BOB)).status_code == 201
        url = first.json()["data"]["url"]
        assert (await house.http.delete(url, headers=ANN)).status_code == 200
        assert (await house.http.get(url)).status_code == 404
        assert (await send(house, large + b"1")).status_code == 201
    assert len(files(tmp_path)) == 1, "what was refused is no file of ours, and what was deleted"


async def test_an_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    """Its sender is gone in the middle."""
    async with served(tmp_path) as house:
        async with line_to(house.url) as line:
            head = f"POST /api/uploads HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {len(PIXEL)}"
            await line.write(f"{head}\r\n\r\n".encode() + PIXEL[:30])
            await until(lambda: files(tmp_path))
        await until(lambda: not files(tmp_path))


async def test_uploads_expire(tmp_path: Path) -> None:
    """By `upload_retention_seconds`; a task that waits for one fails, and says why."""
    async with served(tmp_path, local_concurrency=1) as house:
        url = (await send(house)).json()["data"]["url"]
    async with served(tmp_path, upload_retention_seconds=0.0) as house:
        await until(lambda: house.context.statistics()["swept_expired"] == 1)
        assert (await house.http.get(url)).status_code == 404
    assert files(tmp_path) == []


async def test_an_input_that_went_is_not_left_out(tmp_path: Path) -> None:
    """Its task fails as it begins: without it another picture would come of it."""
    script = [{"do": "fault", "attempt": 1, "after_seconds": 0}]
    taker = _Waiting()
    async with served(tmp_path, scripted_provider=taker) as house:
        sent = (await send(house)).json()["data"]
        await create(house, ANN, id="x", inputs=[{"upload": sent["id"]}], params={"script": script})
        async with asyncio.timeout(PATIENCE):
            await taker.reached.wait()
        assert (await house.http.delete(sent["url"])).status_code == 200
        taker.go.set()
        end = (await house.events("x"))[-1]
        assert end["error_data"]["code"] == "invalid_input"
        assert "inputs.0" in end["error_data"]["message"]


class _Waiting(Scripted):
    """Its first attempt fails when the test lets it."""

    def __init__(self) -> None:
        super().__init__()
        self.reached, self.go = asyncio.Event(), asyncio.Event()

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        self.reached.set()
        await self.go.wait()
        return await super().follow(prediction, handle, report)


@pytest.mark.parametrize("size", [1, 2, 5, 11, 10_000])
def test_a_form_may_come_in_pieces_of_any_size(size: int) -> None:
    """The field is whole, and only the field; what looks like a boundary in it stays."""
    inside = b"\r\n--bound\r\n-- --boundar\r" + bytes(range(256))
    form = (
        b'preamble\r\n--boundary\r\nContent-Disposition: form-data; name="x"\r\n\r\nno\r\n'
        b"--boundary  \r\ncontent-type: image/png\r\ncontent-disposition: form-data; "
        b'name="file"; filename="name=x"\r\n\r\n' + inside + b"\r\n--boundary--\r\nepilogue"
    )
    reader = Multipart(b"boundary", b"file")
    got = b"".join(reader.feed(form[at : at + size]) for at in range(0, len(form), size))
    assert hashlib.sha256(got).digest() == hashlib.sha256(inside).digest()
    assert reader.found and reader.ended


def test_headers_of_a_part_have_an_end() -> None:
    """Else they would be kept for as long as they come."""
    reader = Multipart(b"b", b"file")
    with pytest.raises(Refused):
        for _ in range(3):
            reader.feed(b"--b\r\n" + b"x: y" * 2000)


@pytest.mark.parametrize(
    ("header", "boundary"),
    [
        ("multipart/form-data; boundary=abc", b"abc"),
        ('Multipart/Form-Data; charset=utf-8; boundary="a b"', b"a b"),
        ('multipart/form-data;boundary="----x7"', b"----x7"),
        ("multipart/mixed; boundary=abc", None),
        ("image/png", None),
        ("", None),
    ],
)
def test_a_form_is_known_by_its_header(header: str, boundary: bytes | None) -> None:
    """Anything else is bytes."""
    assert boundary_of(header) == boundary
