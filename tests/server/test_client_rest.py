"""The Python client over REST: keys, second tries, refusals, and downloads that are whole."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.client import Client, Damaged, RequestRefused, Unreachable, WrongAnswer, connect
from safelight.client.rest import pieces_of
from tests.doubles.http_end import CUT, HttpEnd, answer, document, http_end
from tests.doubles.tellings import snapshot

PICTURE = b"a picture, more or less"
HASH = hashlib.sha256(PICTURE).hexdigest()


@asynccontextmanager
async def met(*answers: bytes, **more: Any) -> AsyncIterator[tuple[HttpEnd, Client]]:
    """A client and a server that gives these answers."""
    async with http_end() as end, connect(end.url, **more) as client:
        end.answers = list(answers)
        yield end, client


def data(**fields: Any) -> bytes:
    """A good answer."""
    return answer(200, {"success": True, "data": fields, "message": "ok"})


def problem(status: int, code: str, **more: Any) -> bytes:
    """A refusal, as a problem document."""
    error = {"code": code, "message": "No.", "details": more.pop("details", [])}
    document = {"status": status, "detail": "No.", "code": code, "success": False, "error": error}
    return answer(status, document | more)


async def test_create_sends_the_native_body() -> None:
    """What is given is sent, what is None is not, and seeds stay exact."""
    async with met(data(**snapshot(1, seed=str(2**63)))) as (end, client):
        made = await client.create(kind="image", prompt="a monk", seed=2**53 + 1, model=None)
        assert made.seed == str(2**63)
    (asked,) = end.asked
    assert json.loads(asked.body) == {"kind": "image", "prompt": "a monk", "seed": 2**53 + 1}
    assert len(asked.headers["idempotency-key"]) == 32


async def test_a_lost_answer_costs_no_second_task() -> None:
    """The second try carries the key of the first, and another create another."""
    whole = data(**snapshot(1))
    async with met(CUT, problem(503, "shutting_down"), whole, whole) as (end, client):
        assert (await client.create(kind="image", prompt="a monk")).task_id == "t"
        await client.create(kind="image", prompt="a monk")
    keys = [asked.headers["idempotency-key"] for asked in end.asked]
    assert keys[0] == keys[1] == keys[2] != keys[3]


async def test_warnings_are_handed_over() -> None:
    """What the server ignored, or has otherwise than asked, reaches the caller."""
    warnings: list[Any] = []
    had = {"field": "seed", "asked": 1, "has": 2}
    async with met(data(**snapshot(1), warnings=["x is ignored", had])) as (_, client):
        await client.create(kind="image", prompt="p", key="k", on_warning=warnings.append)
    assert warnings == ["x is ignored", had]


async def test_a_refusal_is_not_tried_again() -> None:
    """What would be refused again is raised at once, field by field."""
    wrong = {"field": "seed", "found": "-1", "expected": "0 or more"}
    async with met(problem(400, "invalid", details=[wrong])) as (end, client):
        with pytest.raises(RequestRefused) as caught:
            await client.create(kind="image", prompt="p", seed=-1)
    refused = caught.value
    assert (refused.code, refused.status, refused.retry) == ("invalid", 400, "changed")
    assert (refused.details, len(end.asked)) == ((wrong,), 1)


async def test_the_answer_says_whether_to_try_again() -> None:
    """The server's word on trying again wins; without one, an unknown code is final."""
    codes = [problem(400, "new_code", retry="later"), problem(400, "new_code")]
    async with met(*codes) as (end, client):
        with pytest.raises(RequestRefused, match=r"No\."):
            await client.cancel("t")
    assert len(end.asked) == 2


async def test_without_patience_there_is_one_try() -> None:
    """With `patience` 0 the first trouble is the last."""
    async with met(CUT, patience=0) as (end, client):
        with pytest.raises(Unreachable, match=end.url):
            await client.create(kind="image", prompt="p")
    assert len(end.asked) == 1


async def test_no_server_is_said_so() -> None:
    """Where nothing listens, the exception names the address."""
    async with http_end() as end:
        url = end.url
    async with connect(url, patience=0) as client:
        with pytest.raises(Unreachable) as caught:
            await client.version()
    assert caught.value.url == url


async def test_reads_are_typed() -> None:
    """Lists and snapshots come as structs; fields that came later are ignored."""
    async with met(
        data(tasks=[snapshot(1)], next="7", position=3),
        data(models=[{"name": "m", "kind": "image", "default": True, "brand_new": 1}]),
        data(**snapshot(4)),
        data(version="0.1.0", statistics={}),
    ) as (end, client):
        page = await client.tasks(limit=1, before="9")
        assert ([task.task_id for task in page.tasks], page.next) == (["t"], "7")
        assert [model.default for model in await client.models("image")] == [True]
        assert (await client.get("a/b")).seq == 4
        assert await client.version() == "0.1.0"
    lines = [asked.line.split()[1] for asked in end.asked]
    assert lines == [
        "/api/tasks?limit=1&before=9",
        "/api/models?kind=image",
        "/api/tasks/a%2Fb",
        "/healthz",
    ]


async def test_cancel_and_delete_name_the_task() -> None:
    """Both are requests of their own; cancel answers with the task."""
    async with met(CUT, data(**snapshot(4)), data(task_id="t")) as (end, client):
        assert (await client.cancel("t")).seq == 4
        await client.delete("t")
    assert [asked.line for asked in end.asked] == [
        "POST /api/tasks/t/cancel HTTP/1.1",
        "POST /api/tasks/t/cancel HTTP/1.1",
        "DELETE /api/tasks/t HTTP/1.1",
    ]


@pytest.mark.parametrize(
    "told",
    [answer(200, {"hello": 1}), answer(502, "bad gateway"), document(200, b"<html>", "text/html")],
    ids=["other JSON", "a proxy's error", "a page"],
)
async def test_another_server_is_told_apart(told: bytes) -> None:
    """An answer that is none of ours says that this is no Safelight server."""
    async with met(told) as (_, client):
        with pytest.raises(WrongAnswer):
            await client.models()


async def test_a_snapshot_of_another_form_is_told_apart() -> None:
    """Data without the fields of a snapshot is not taken for one."""
    async with met(data(task_id="t")) as (_, client):
        with pytest.raises(WrongAnswer, match="cannot be read"):
            await client.get("t")


async def test_a_download_is_whole(tmp_path: Path) -> None:
    """After a cut the file is fetched again; nothing but the file is left."""
    cut = document(200, PICTURE[:5], "image/png", length=len(PICTURE))
    async with met(cut, document(200, PICTURE, "image/png")) as (end, client):
        kept = await client.artifact("/api/artifacts/x", tmp_path / "a.png", HASH)
    assert kept.read_bytes() == PICTURE
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]
    assert end.asked[0].line == "GET /api/artifacts/x HTTP/1.1"


@pytest.mark.parametrize(
    ("told", "trouble"),
    [
        (document(200, b"other bytes", "image/png"), Damaged),
        (problem(404, "not_found"), RequestRefused),
    ],
    ids=["another file", "deleted"],
)
async def test_a_failed_download_changes_nothing(
    tmp_path: Path, told: bytes, trouble: type[Exception]
) -> None:
    """What was at the path before is still there, and no half file beside it."""
    path = tmp_path / "a.png"
    path.write_bytes(b"older")
    async with met(told) as (_, client):
        with pytest.raises(trouble):
            await client.artifact("/api/artifacts/x", path, HASH)
    assert path.read_bytes() == b"older"
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


async def test_the_token_stays_with_its_server(tmp_path: Path) -> None:
    """It is sent to the server's own address, and not where else a file may lie."""
    picture = document(200, PICTURE, "image/png")
    async with http_end() as elsewhere, met(picture, token="secret") as (end, client):
        elsewhere.answers = [picture]
        await client.artifact("/api/artifacts/x", tmp_path / "ours")
        await client.artifact(f"{elsewhere.url}/x", tmp_path / "theirs")
    assert end.asked[0].headers["authorization"] == "Bearer secret"
    assert "authorization" not in elsewhere.asked[0].headers


async def test_a_file_is_sent_as_long_as_it_was_announced(tmp_path: Path) -> None:
    """One that is written to meanwhile ends where it ended; one that was cut is told as that."""
    path = tmp_path / "growing"
    path.write_bytes(b"abcdef")
    assert [piece async for piece in pieces_of(path, 4)] == [b"abcd"]
    with pytest.raises(OSError, match="became shorter"):
        async for piece in pieces_of(path, 7):
            assert piece == b"abcdef"
