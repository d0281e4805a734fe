"""Downloads: ranges, validators and caching, over HTTP as clients send it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from safelight.artifacts import name_of
from safelight.edges.files import Shown, artifact_response, entity_tag, etag_matches
from safelight.edges.problems import HANDLERS
from safelight.storage.disk import Disk

DATA = bytes(range(256)) * 1000
SHA = "ab" * 32
FILES = {"whole": SHA, "empty": "ef" * 32, "gone": "cd" * 32}
TAG = entity_tag(SHA)


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[httpx2.AsyncClient]:
    for name, data in (("whole", DATA), ("empty", b"")):
        path = tmp_path / name_of(FILES[name], "video/mp4")
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)

    async def serve(request: Request) -> Response:
        name = request.path_params["name"]
        shown = Shown(FILES[name.removesuffix(".mp4")], "video/mp4", 1_700_000_000_000)
        return await artifact_response(request, Disk(tmp_path), shown)

    app = Starlette(routes=[Route("/{name}", serve)], exception_handlers=HANDLERS)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_the_whole_file_may_be_cached_for_ever(client: httpx2.AsyncClient) -> None:
    """A plain GET brings all bytes, and says how they may be kept and shown."""
    answer = await client.get("/whole.mp4")
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-type"] == "video/mp4"
    assert answer.headers["content-length"] == str(len(DATA))
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["etag"] == TAG
    assert answer.headers["last-modified"] == "Tue, 14 Nov 2023 22:13:20 GMT"
    assert answer.headers["cache-control"] == "private, max-age=31536000, immutable"
    assert answer.headers["content-disposition"] == 'inline; filename="safelight.mp4"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert SHA not in str(answer.headers)


async def test_head_brings_no_bytes(client: httpx2.AsyncClient) -> None:
    """HEAD has the headers of GET, and a range with it means nothing (RFC 9110, 14.2)."""
    for headers in ({}, {"range": "bytes=0-9"}):
        answer = await client.head("/whole.mp4", headers=headers)
        assert answer.status_code == 200
        assert answer.headers["content-length"] == str(len(DATA))
        assert answer.content == b""


@pytest.mark.parametrize(
    ("wanted", "first", "last"),
    [
        ("bytes=0-0", 0, 0),
        ("bytes=0-1", 0, 1),
        ("BYTES=100-70000", 100, 70000),
        ("bytes=255000-", 255000, len(DATA) - 1),
        ("bytes=-5", len(DATA) - 5, len(DATA) - 1),
        ("bytes=255999-999999999", len(DATA) - 1, len(DATA) - 1),
        (f"bytes=-{len(DATA) + 5}", 0, len(DATA) - 1),
    ],
)
async def test_one_range_brings_its_part(
    client: httpx2.AsyncClient, wanted: str, first: int, last: int
) -> None:
    """One range of bytes is answered with 206, exactly those bytes, and where they lie."""
    answer = await client.get("/whole.mp4", headers={"range": wanted})
    assert answer.status_code == 206
    assert answer.content == DATA[first : last + 1]
    assert answer.headers["content-range"] == f"bytes {first}-{last}/{len(DATA)}"
    assert answer.headers["content-length"] == str(last - first + 1)
    assert answer.headers["etag"] == TAG


@pytest.mark.parametrize(
    "wanted",
    [
        "bytes=0-1,5-6",
        "bytes=5-1",
        "bytes=-",
        "bytes=a-b",
        "bytes",
        "lines=0-1",
        "bytes=0x1-2",
        "bytes=--5",
        "",
        "bytes=" + "9" * 5000 + "-",
    ],
)
async def test_a_range_that_is_none_is_ignored(client: httpx2.AsyncClient, wanted: str) -> None:
    """Several ranges, other units and nonsense bring the whole file."""
    answer = await client.get("/whole.mp4", headers={"range": wanted})
    assert (answer.status_code, answer.content) == (200, DATA)


@pytest.mark.parametrize(
    ("path", "wanted"),
    [
        ("/whole.mp4", f"bytes={len(DATA)}-"),
        ("/whole.mp4", "bytes=9999999-99999999"),
        ("/whole.mp4", "bytes=-0"),
        ("/empty.mp4", "bytes=0-"),
        ("/empty.mp4", "bytes=-1"),
    ],
)
async def test_a_range_outside_is_refused(
    client: httpx2.AsyncClient, path: str, wanted: str
) -> None:
    """A range that begins behind the end is 416 and told the size."""
    answer = await client.get(path, headers={"range": wanted})
    size = len(DATA) if path == "/whole.mp4" else 0
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{size}"
    assert answer.json()["code"] == "range_not_satisfiable"
    assert answer.json()["error"]["details"][0]["field"] == "Range"


async def test_a_known_file_is_not_sent_again(client: httpx2.AsyncClient) -> None:
    """If-None-Match with our tag brings 304 with the caching headers, before any range."""
    for value in (TAG, f'"x", {TAG}', f"W/{TAG}", "*"):
        headers = {"if-none-match": value, "range": "bytes=0-9"}
        answer = await client.get("/whole.mp4", headers=headers)
        assert (answer.status_code, answer.content) == (304, b"")
        assert answer.headers["etag"] == TAG
        assert "immutable" in answer.headers["cache-control"]
    answer = await client.get("/whole.mp4", headers={"if-none-match": '"other"'})
    assert answer.status_code == 200


async def test_a_range_of_another_file_is_not_sent(client: httpx2.AsyncClient) -> None:
    """If-Range with our tag brings the part, with anything else the whole file."""
    headers = {"range": "bytes=0-9", "if-range": TAG}
    assert (await client.get("/whole.mp4", headers=headers)).status_code == 206
    for other in ('"other"', f"W/{TAG}", "Thu, 01 Jan 1970 00:00:00 GMT"):
        for wanted in ("bytes=0-9", "bytes=9999999-"):
            headers = {"range": wanted, "if-range": other}
            assert (await client.get("/whole.mp4", headers=headers)).status_code == 200


async def test_a_file_that_is_gone_is_not_found(client: httpx2.AsyncClient) -> None:
    """A file that was removed meanwhile is 404, not a bug."""
    answer = await client.get("/gone.mp4")
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")


def test_a_tag_is_strong_and_opaque() -> None:
    """The tag is quoted, differs per content and does not show the hash."""
    assert TAG.startswith('"')
    assert TAG.endswith('"')
    assert entity_tag("cd" * 32) != TAG
    assert not etag_matches(None, TAG)
    assert not etag_matches("", TAG)
