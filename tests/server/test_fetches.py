"""Files that a provider announces: fetched once, bounded, believed in nothing."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest

from safelight.artifacts import ArtifactStore, Wanted
from safelight.fetching import Fetcher, may_follow
from safelight.providers.base import Done, Found, Outcome, Prediction, Report
from safelight.providers.scripted import PIXEL, Scripted
from tests.doubles.file_source import Answer, FileSource, file_source
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until

KEY = "9/0/picture.png"
QUICK = {"attempts": 1, "png_text": False, "retry_base_seconds": 0.001, "retry_max_seconds": 0.002}


class Finder(Scripted):
    """Announces the files of its script, each as often as it says, all at one moment."""

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        for step in prediction.params.get("script", []):
            told = dict(step["file"])
            times = told.pop("times", 1)
            found = Found(**{"kind": "image", "key": KEY} | told)
            await asyncio.gather(*(report(found) for _ in range(times)))
        return Done()


@pytest.fixture
async def source() -> AsyncIterator[FileSource]:
    async with file_source() as made:
        yield made


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path, scripted_provider=Finder(), **QUICK) as made:
        yield made


def script(*files: dict[str, Any]) -> dict[str, Any]:
    """Parameters that announce these."""
    return {"script": [{"do": "found", "file": file} for file in files]}


async def lived(house: Served, *files: dict[str, Any]) -> list[dict[str, Any]]:
    """The events of a task whose provider announces these."""
    created = await house.create(params=script(*files))
    async with asyncio.timeout(PATIENCE):
        return await house.events(created["task_id"])


async def counted(house: Served) -> dict[str, Any]:
    """What /healthz counts."""
    told: dict[str, Any] = (await house.http.get("/healthz")).json()["data"]["statistics"]
    return told


def incoming(folder: Path) -> list[Path]:
    return list((folder / "artifacts" / "incoming").iterdir())


def artifacts(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [event for event in events if event["type"] == "artifact"]


async def test_a_found_file_is_ours_before_it_is_told(
    house: Served, source: FileSource, tmp_path: Path
) -> None:
    """Its event names bytes that are on our disk, with what they are; the announced address
    and its credentials are in no event."""
    url = source.says("/view", source.whole(PIXEL))
    events = await lived(house, {"url": url, "headers": {"Authorization": "Bearer hidden"}})
    (made,) = artifacts(events)
    assert events[-1]["type"] == "completed"
    assert (made["media_type"], made["width"], made["height"]) == ("image/png", 1, 1)
    assert made["sha256"] == hashlib.sha256(PIXEL).hexdigest()
    assert (await house.http.get(made["url"])).content == PIXEL
    assert "hidden" not in str(events) and url not in str(events)
    assert source.asked[0].headers["authorization"] == "Bearer hidden"
    assert source.asked[0].headers["accept-encoding"] == "identity"
    assert incoming(tmp_path) == []


async def test_two_who_announce_one_file_at_once_fetch_it_once(
    house: Served, source: FileSource
) -> None:
    """Whoever comes second waits for the first, and finds the file told; also much later."""
    url = source.says("/view", source.whole(PIXEL))
    events = await lived(house, {"url": url, "times": 5}, {"url": url})
    assert len(artifacts(events)) == 1
    assert source.count("/view") == 1


async def test_files_are_told_apart_by_their_keys(house: Served, source: FileSource) -> None:
    """Two files of equal bytes are two artifacts; their bytes are stored once."""
    url = source.says("/view", source.whole(PIXEL))
    events = await lived(house, {"url": url, "key": "a"}, {"url": url, "key": "b"})
    first, second = artifacts(events)
    assert first["sha256"] == second["sha256"] and first["id"] != second["id"]
    assert (await counted(house))["artifacts_stored"] == 1


HTML = b"<!doctype html><h1>502</h1>"
BROKEN: dict[str, Callable[[FileSource], Answer]] = {
    "an error of the server": lambda s: s.status(500),
    "too many requests": lambda s: s.status(429),
    "a page instead of a picture": lambda s: s.whole(HTML, Content_Type="text/html; charset=x"),
    "a file that is cut": lambda s: s.cut(PIXEL),
    "less than was announced": lambda s: s.whole(PIXEL[:-5]),
}
"""What may pass: the answer is tried again."""


@pytest.mark.parametrize("broken", BROKEN.values(), ids=BROKEN)
async def test_what_may_pass_is_tried_again(
    house: Served, source: FileSource, tmp_path: Path, broken: Callable[[FileSource], Answer]
) -> None:
    """One bad answer costs a try and no more; it is counted, and leaves nothing behind."""
    url = source.says("/view", broken(source), source.whole(PIXEL))
    events = await lived(house, {"url": url, "bytes": len(PIXEL)})
    assert len(artifacts(events)) == 1 and events[-1]["type"] == "completed"
    assert source.count("/view") == 2
    assert incoming(tmp_path) == []
    told = await counted(house)
    assert (told["fetched"], told["fetch_faults"], told["fetch_requests"]) == (1, 1, 2)


async def test_a_wrong_hash_is_a_damaged_file(house: Served, source: FileSource) -> None:
    """Where the provider says the hash, other bytes are tried again; ours may differ from
    it by the text that we put in."""
    other = PIXEL[:-1] + b"\x00"
    url = source.says("/view", source.whole(other), source.whole(PIXEL))
    events = await lived(house, {"url": url, "sha256": hashlib.sha256(PIXEL).hexdigest()})
    assert [made["bytes"] for made in artifacts(events)] == [len(PIXEL)]
    assert source.count("/view") == 2


async def test_what_does_not_pass_ends_the_task_after_some_tries(
    house: Served, source: FileSource
) -> None:
    """The end says what was wrong and that it was tried; the store has the count."""
    url = source.says("/view", source.status(503))
    events = await lived(house, {"url": url})
    error = events[-1]["error_data"]
    assert (events[-1]["type"], error["code"]) == ("failed", "artifact_unavailable")
    assert "503" in error["message"] and "5 times" in error["message"]
    assert source.count("/view") == 5
    read = house.context.shelf.read
    (row,) = await read._all("SELECT * FROM fetches")
    assert (row["key"], row["tries"], row["error"]) == (KEY, 5, "its source answered 503")


FINAL: dict[str, tuple[Callable[[FileSource], Answer], str]] = {
    "404": (lambda s: s.status(404), "artifact_unavailable"),
    "403": (lambda s: s.status(403), "artifact_unavailable"),
    "a script": (lambda s: s.whole(b"<svg onload='x()'/>"), "provider_failed"),
    "nothing": (lambda s: s.whole(b""), "provider_failed"),
    "a broken header": (lambda s: s.whole(PIXEL[:20]), "provider_failed"),
    "compressed": (lambda s: s.whole(PIXEL, Content_Encoding="gzip"), "artifact_unavailable"),
}
"""What would be the same the next time."""


@pytest.mark.parametrize(("broken", "code"), FINAL.values(), ids=FINAL)
async def test_what_will_not_pass_is_refused_at_once(
    house: Served,
    source: FileSource,
    tmp_path: Path,
    broken: Callable[[FileSource], Answer],
    code: str,
) -> None:
    """The task fails with a code of ours, asked once, and nothing lies in `incoming`."""
    url = source.says("/view", broken(source))
    events = await lived(house, {"url": url, "times": 2})
    assert (events[-1]["type"], events[-1]["error_data"]["code"]) == ("failed", code)
    assert source.count("/view") == 1
    assert incoming(tmp_path) == []


async def test_a_file_that_is_announced_too_large_is_not_read(
    tmp_path: Path, source: FileSource
) -> None:
    """300 MB by its own word: refused before a byte of it is taken."""
    taken: list[str] = []

    async def large(line: Any) -> None:
        await line.head(200, Content_Length=300 * 1024 * 1024)
        await line.write(PIXEL)
        taken.append("head")

    url = source.says("/view", large)
    async with served(tmp_path, scripted_provider=Finder(), **QUICK) as house:
        events = await lived(house, {"url": url})
        assert events[-1]["error_data"]["code"] == "too_large"
        assert str(300 * 1024 * 1024) in events[-1]["error_data"]["message"]
        assert (await counted(house))["artifact_bytes_stored"] == 0
    assert taken == ["head"] and incoming(tmp_path) == []


async def test_a_file_that_turns_out_too_large_is_left(tmp_path: Path, source: FileSource) -> None:
    """Without an announced length it is read up to the limit, and no further."""
    url = source.says("/view", source.endless(PIXEL, bytes(64 * 1024)))
    limited = QUICK | {"max_artifact_bytes": 1_000_000}
    async with served(tmp_path, scripted_provider=Finder(), **limited) as house:
        events = await lived(house, {"url": url})
        assert events[-1]["error_data"]["code"] == "too_large"
    assert incoming(tmp_path) == []


async def test_a_source_that_says_nothing_is_not_waited_for(
    tmp_path: Path, source: FileSource
) -> None:
    """Silence ends a try after `fetch_seconds`; the next one may find it awake."""
    url = source.says("/view", source.held(PIXEL, "never"), source.whole(PIXEL))
    async with served(tmp_path, scripted_provider=Finder(), fetch_seconds=1.0, **QUICK) as house:
        events = await lived(house, {"url": url})
        assert len(artifacts(events)) == 1
    assert source.count("/view") == 2 and incoming(tmp_path) == []


async def test_the_deadline_of_the_task_holds(tmp_path: Path, source: FileSource) -> None:
    """A source that hangs does not hold a task beyond its attempt's deadline."""
    url = source.says("/view", source.held(PIXEL, "never"))
    limits = QUICK | {"attempt_timeout_seconds": 0.3, "cancel_timeout_seconds": 0.2}
    async with served(tmp_path, scripted_provider=Finder(), **limits) as house:
        events = await lived(house, {"url": url})
        assert events[-1]["error_data"]["code"] == "timeout"
        assert (await counted(house))["fetches"] == 0
    assert incoming(tmp_path) == []


async def test_a_cancel_ends_a_fetch(tmp_path: Path, source: FileSource) -> None:
    """Who cancels does not wait for a source that hangs; nothing is left half-written."""
    url = source.says("/view", source.held(PIXEL, "never"))
    limits = QUICK | {"cancel_timeout_seconds": 0.1}
    async with served(tmp_path, scripted_provider=Finder(), **limits) as house:
        created = await house.create(params=script({"url": url}))
        await until(lambda: source.count("/view"))
        await house.post(f"/api/tasks/{created['task_id']}/cancel")
        events = await house.events(created["task_id"])
        assert events[-1]["type"] in ("canceled", "failed")
    assert incoming(tmp_path) == []


async def test_redirects_are_followed_at_home(house: Served, source: FileSource) -> None:
    """To the same origin, with what it wants sent along; a few times only."""
    source.says("/b", source.whole(PIXEL))
    url = source.says("/a", source.status(302, Location="/b"))
    events = await lived(house, {"url": url, "headers": {"X-Key": "k"}})
    assert len(artifacts(events)) == 1
    assert [line.headers.get("x-key") for line in source.asked] == ["k", "k"]
    loop = source.says("/loop", source.status(302, Location="/loop"))
    events = await lived(house, {"url": loop})
    assert events[-1]["error_data"]["code"] == "artifact_unavailable"
    assert source.count("/loop") == 6


async def test_a_redirect_leads_to_no_neighbour(house: Served, source: FileSource) -> None:
    """Not to another origin by http, which may be one of our own network, nor out of HTTP;
    nobody there is even asked."""
    async with file_source() as neighbour:
        there = neighbour.says("/view", neighbour.whole(PIXEL))
        for where in (there, "file:///etc/passwd", "gopher://x/"):
            url = source.says("/a", source.status(302, Location=where))
            events = await lived(house, {"url": url})
            assert events[-1]["error_data"]["code"] == "artifact_unavailable"
        assert neighbour.asked == []


async def test_credentials_stay_with_the_announced_origin(
    tmp_path: Path, source: FileSource
) -> None:
    """Wherever a redirect may lead, they are not sent along."""
    files = ArtifactStore(tmp_path / "artifacts", 10_000)
    await files.open()
    fetcher = Fetcher(files, PATIENCE, follow=lambda announced, to: True)
    async with file_source() as other, fetcher.open():
        there = other.says("/view", other.whole(PIXEL))
        url = source.says("/a", source.status(307, Location=there))
        found = Found(kind="image", key=KEY, url=url, headers={"Authorization": "Bearer hidden"})
        kept = await fetcher.fetch(found, Wanted(kind="image"))
        assert kept.bytes == len(PIXEL)
        assert source.asked[0].headers["authorization"] == "Bearer hidden"
        assert "authorization" not in other.asked[0].headers


async def test_nobodys_cookies_are_sent(house: Served, source: FileSource) -> None:
    """What one source sets is told neither to another port of its host nor to itself again."""
    async with file_source() as other:
        first = source.says("/view", source.whole(PIXEL, Set_Cookie="session=hidden; Path=/"))
        second = other.says("/view", other.whole(PIXEL))
        for place, url in enumerate((first, second, first)):
            events = await lived(house, {"url": url, "key": str(place)})
            assert events[-1]["type"] == "completed"
        assert [line.headers.get("cookie") for line in source.asked + other.asked] == [None] * 3


def test_where_a_redirect_may_lead() -> None:
    """To the same origin, default ports and all, or by https to any other."""
    for announced, to, may in (
        ("http://a/x", "http://a:80/y", True),
        ("http://a/x", "http://a:81/y", False),
        ("https://a/x", "http://a/x", False),
        ("https://a/x", "https://b/y", True),
        ("http://a/x", "https://b/y", True),
        ("https://a/x", "https://user@b/y", False),
    ):
        assert may_follow(httpx2.URL(announced), httpx2.URL(to)) is may, (announced, to)


HERE = "http://127.0.0.1:1/x"


async def test_an_address_that_is_none_is_refused(house: Served) -> None:
    """Whatever a provider says is an address, it is not opened as a file of ours."""
    addresses = ("file:///etc/passwd", "/view", "http://", "http://127.0.0.1:99999/x")
    for told in (*({"url": url} for url in addresses), {"url": HERE, "headers": {"A": "\u2603"}}):
        events = await lived(house, told)
        assert events[-1]["error_data"]["code"] == "artifact_unavailable"
