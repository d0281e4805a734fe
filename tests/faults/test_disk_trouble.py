"""A disk that fails: I/O errors under a running server, and what cannot be opened at all.

strace makes the calls of the real process fail and lets go of it again. The promise: 503
`unavailable`, nothing accepted is lost, nothing is told that is not on disk, and all goes
on by itself when the disk does.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from safelight.store import Store, open_store
from tests.doubles.disk import fill, ill, make_read_only, small_disk
from tests.doubles.followers import Follower, SocketFollower, StreamFollower, following
from tests.doubles.process import ServerFailed, ServerProcess, server_process
from tests.doubles.served import PATIENCE, served
from tests.doubles.sulking import Sulky
from tests.faults.test_disk_full import BODY, both_wait, check_database, check_end, long

SYNCS = "fsync,fdatasync"


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize("calls", [SYNCS, "pwrite64", f"{SYNCS},pwrite64"])
async def test_a_disk_that_fails_every_write_is_waited_out(tmp_path: Path, calls: str) -> None:
    """While it lasts creates are answered 503 and running tasks stand still, but are read;
    afterwards the same process goes on, on fresh handles, and nobody missed anything."""
    with server_process(tmp_path / "data", scripted=True, log_format="json") as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:
            ids = ["one", "two"]
            for id in ids:
                assert (await http.post("/api/tasks", json=long(id))).status_code == 202
            followers: list[Follower] = [
                SocketFollower(server.url, "one"),
                StreamFollower(server.url, "two"),
            ]
            async with following(followers):
                for follower in followers:
                    await follower.until("text")
                with ill(server.pid, calls):
                    for n in range(3):
                        refused = await http.post("/api/tasks", json=BODY | {"id": f"no-{n}"})
                        assert (refused.status_code, refused.json()["code"]) == (
                            503,
                            "unavailable",
                        )
                    await both_wait(http)
                async with asyncio.timeout(2 * PATIENCE):
                    for follower in followers:
                        await follower.until("completed")
            for follower in followers:
                follower.whole()
            again = await http.post("/api/tasks", json=BODY | {"id": "no-0"})
            assert again.status_code == 202, again.text
            await check_end(http, [*ids, "no-0"])
            counted = (await http.get("/healthz")).json()["data"]["statistics"]
            assert counted["reopened"] >= 1
        await anyio.to_thread.run_sync(server.stop)
        assert "Traceback" not in server.stderr()
        check_database(server.data_dir)


async def accepted_at_last(http: httpx2.AsyncClient, key: str) -> str:
    """Ask with one key until it is accepted, as a good client does; the task's id."""
    body = BODY | {"request_id": key}
    while True:
        answer = await http.post("/api/tasks", json=body)
        if answer.status_code in (200, 202):
            id: str = answer.json()["data"]["task_id"]
            return id
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable"), answer.text


@pytest.mark.slow
@pytest.mark.needs("strace")
@pytest.mark.parametrize(("calls", "when"), [(SYNCS, "20+7"), ("pwrite64", "60+151")])
async def test_a_disk_that_fails_now_and_then_makes_no_task_twice(
    tmp_path: Path, calls: str, when: str
) -> None:
    """Every few calls fail, in the middle of anything. Forty clients ask with keys of their
    own until they are accepted: there are forty tasks, and each ends well."""
    with server_process(tmp_path / "data", scripted=True, log_format="json") as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=2 * PATIENCE) as http:
            with ill(server.pid, calls, when=when):
                async with asyncio.timeout(4 * PATIENCE):
                    asks = [accepted_at_last(http, f"k{n}") for n in range(40)]
                    ids = await asyncio.gather(*asks)
                    await check_end(http, ids)
            listed = (await http.get("/api/tasks", params={"limit": 200})).json()["data"]["tasks"]
            assert sorted(task["task_id"] for task in listed) == sorted(ids)
            assert len(set(ids)) == 40
            counted = (await http.get("/healthz")).json()["data"]["statistics"]
            print("opened anew:", counted["reopened"])
            assert counted["reopened"] >= 2
        await anyio.to_thread.run_sync(server.stop)
        check_database(server.data_dir)


@pytest.mark.slow
@pytest.mark.needs("strace")
async def test_what_was_told_while_it_failed_is_on_disk(tmp_path: Path) -> None:
    """The process is killed while its disk fails now and then. After the next start every
    event that a client was told is there, word for word, and so is every accepted task."""
    with server_process(tmp_path / "data", scripted=True, log_format="json") as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:
            assert (await http.post("/api/tasks", json=long("one", 400))).status_code == 202
            follower = SocketFollower(server.url, "one")
            running = asyncio.create_task(follower.run())
            await follower.until("text")
            with ill(server.pid, SYNCS, when="5+7"):
                ids = [await accepted_at_last(http, f"k{n}") for n in range(10)]
                await anyio.to_thread.run_sync(server.kill)
            running.cancel()
            await asyncio.wait([running])
            told = list(follower.events)
            assert server.stderr().count("store.ill") >= 2
        await anyio.to_thread.run_sync(server.start)
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:
            kept: list[dict[str, Any]] = []
            while len(kept) < len(told):
                after = {"after": kept[-1]["seq"] if kept else 0, "wait": 1}
                after |= {"log": (await http.get("/api/tasks/one")).json()["data"]["log"]}
                page = await http.get("/api/tasks/one/events", params=after)
                kept += page.json()["data"]["events"]
            assert kept[: len(told)] == told
            for id in ids:
                assert (await http.get(f"/api/tasks/{id}")).status_code == 200


@pytest.mark.slow
@pytest.mark.needs("strace")
async def test_reads_that_fail_are_said_and_pass(tmp_path: Path) -> None:
    """A disk that cannot be read is 503, not 500; afterwards it is read again."""
    with server_process(tmp_path / "data", scripted=True, log_format="json") as server:
        async with httpx2.AsyncClient(base_url=server.url, timeout=PATIENCE) as http:
            await http.post("/api/tasks", json=BODY | {"id": "one"})
            await check_end(http, ["one"])
            with ill(server.pid, "pread64"):
                for path in ("/api/tasks/one", "/api/tasks", "/api/tasks/one/events?wait=0"):
                    answer = await http.get(path)
                    assert answer.status_code in (200, 503), answer.text
                    assert answer.status_code == 200 or answer.json()["code"] == "unavailable"
            await check_end(http, ["one"])
            assert (await http.post("/api/tasks", json=BODY)).status_code == 202


@pytest.mark.parametrize(
    "code", [sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_READONLY]
)
async def test_a_database_that_goes_bad_is_said_and_no_end(tmp_path: Path, code: int) -> None:
    """Under a running server the database is damaged, or may no longer be written: 503 at
    every door that needs it, while the others answer; sockets stay, and so does the process.
    When it is well again a task that ran goes on by itself."""
    disk = Sulky()

    @asynccontextmanager
    async def opened(folder: Path, now: int) -> AsyncIterator[Store]:
        async with open_store(folder, now, connect=disk.connect) as store:
            yield store

    script = [{"do": "wait", "gate": "bad"}, {"do": "text", "delta": "a"}, {"do": "image"}]
    async with served(tmp_path / "data", opened=opened) as house, house.connect() as phone:
        await house.create(id="one", params={"script": script})
        await phone.join("task:one", {"after": 0})
        await phone.until_event("started")
        disk.before = lambda statement: code
        house.scripted.gate("bad").set()
        for _ in range(3):
            answers = [
                await house.post("/api/tasks", BODY),
                await house.http.get("/api/tasks"),
                await house.http.get("/readyz"),
            ]
            assert [(a.status_code, a.json()["code"]) for a in answers] == [
                (503, "unavailable")
            ] * 3
        assert (await house.http.get("/healthz")).status_code == 200
        assert (await phone.push("phoenix", "heartbeat", {}))["status"] == "ok"
        disk.content()
        assert (await phone.until_event("completed"))["attempt"] == 1
        seqs = [event["seq"] for event in phone.told("task:one")]
        assert seqs == list(range(1, len(seqs) + 1))
        assert len(house.scripted.started) == 1
        assert (await house.post("/api/tasks", BODY)).status_code == 202


def refusal(server: ServerProcess) -> str:
    """What a server that cannot start says, which is one line."""
    with pytest.raises(ServerFailed):
        server.start()
    lines = [line for line in server.stderr().splitlines() if line.strip()]
    assert len(lines) == 1, lines
    return lines[0]


@pytest.mark.slow
@pytest.mark.needs("tmpfs")
async def test_a_read_only_directory_is_said_in_a_line(tmp_path: Path) -> None:
    """A data directory that cannot be written is named at start, and that is all."""
    with small_disk(tmp_path / "disk", megabytes=6) as disk:
        with server_process(disk / "data", scripted=True) as server:
            server.stop()
        shutil.move(disk / "data.stderr", tmp_path)
        make_read_only(disk)
        link = tmp_path / "there"
        link.symlink_to(disk / "data")
        line = refusal(ServerProcess(link))
        assert str(link) in line and "Read-only file system" in line


@pytest.mark.slow
@pytest.mark.needs("tmpfs")
async def test_a_start_on_a_full_disk_is_said_in_a_line(tmp_path: Path) -> None:
    """A server that cannot even note that it has begun says why, and begins once it can."""
    with small_disk(tmp_path / "disk", megabytes=6) as disk:
        (disk / "data").mkdir()
        link = tmp_path / "there"
        link.symlink_to(disk / "data")
        with server_process(link, scripted=True) as server:
            server.stop()
            (tmp_path / "there.stderr").unlink()
            filler = fill(disk)
            line = refusal(ServerProcess(link))
            assert str(link) in line and ("full" in line or "No space left" in line)
            filler.unlink()
            server.start()
            assert httpx2.get(server.url + "/readyz").status_code == 200


def page_of(path: Path, table: str) -> tuple[int, int]:
    """Where in the file the first page of a table begins and ends."""
    plain = sqlite3.connect(path)
    (size,) = plain.execute("PRAGMA page_size").fetchone()
    asked = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    (page,) = plain.execute(asked, (table,)).fetchone()
    plain.close()
    return (page - 1) * size, page * size


def damage(path: Path, begin: int | str) -> None:
    """Write over all but the beginning of a file, or over the page that a table begins at."""
    data = bytearray(path.read_bytes())
    first, end = (begin, len(data)) if isinstance(begin, int) else page_of(path, begin)
    data[first:end] = b"\xa5" * (end - first)
    path.write_bytes(data)


@pytest.mark.slow
@pytest.mark.parametrize("begin", [0, 100, 4096, "tasks", "requests"])
async def test_a_damaged_database_is_said_in_a_line(tmp_path: Path, begin: int | str) -> None:
    """A file that is no database, or whose pages are not what they were, ends the start with
    the reason in one line."""
    with server_process(tmp_path / "data", scripted=True) as server:
        httpx2.post(server.url + "/api/tasks", json=long("one", 400), timeout=PATIENCE)
        server.stop()
    (tmp_path / "data.stderr").unlink()
    damage(tmp_path / "data" / "safelight.sqlite3", begin)
    line = refusal(ServerProcess(tmp_path / "data"))
    assert "data directory" in line and ("malformed" in line or "not a database" in line)


@pytest.mark.slow
async def test_a_damaged_log_is_found_by_who_reads_it(tmp_path: Path) -> None:
    """A start reads no logs, so it is not stopped by one; whoever asks for it is told that it
    cannot be read, and the server goes on."""
    with server_process(tmp_path / "data", scripted=True) as server:
        httpx2.post(server.url + "/api/tasks", json=long("one", 400), timeout=PATIENCE)
        server.stop()
    damage(tmp_path / "data" / "safelight.sqlite3", "events")
    with server_process(tmp_path / "data", scripted=True) as server:
        answer = httpx2.get(server.url + "/api/tasks/one/events?wait=0", timeout=PATIENCE)
        assert (answer.status_code, answer.json()["code"]) == (503, "unavailable")
        assert httpx2.get(server.url + "/readyz", timeout=PATIENCE).status_code == 200
        server.stop()
