"""Retention in a real server: what each door says of what has gone, and who waits for it.

The tasks ended in 2023, and the server's clock is today's.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from safelight.store import open_store
from safelight_protocol import inputs as happened
from tests.doubles.lives import ARTIFACT, NOW, example, fresh
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until
from tests.doubles.writes import written

CLAIMED = happened.Claimed(NOW + 60_000)
FINISHED = example(happened.Finished)


async def past(folder: Path, count: int, words: int = 3) -> None:
    """A data directory with tasks that ended long ago; every one has a key and a file."""
    async with open_store(folder, NOW) as store:
        for n in range(count):
            file = changed_artifact(n)
            writing = await written(
                store, task=fresh(f"u{n}", id=f"t{n}", owner="local"), id=f"t{n}", key=f"k{n}"
            )
            told = [happened.Wrote("a")] * words
            await writing.move(CLAIMED, *told, happened.Produced(file), FINISHED)


def changed_artifact(n: int) -> Any:
    return replace(ARTIFACT, id=f"cap{n}", sha256=f"{n:064x}")


def counted(house: Served, name: str) -> float:
    """One of the figures of /healthz."""
    figure = house.context.statistics()[name]
    assert isinstance(figure, int | float)
    return figure


async def swept(house: Served, name: str, count: int) -> None:
    """Return once so much is swept."""
    await until(lambda: counted(house, name) >= count, 6 * PATIENCE)


async def test_a_swept_task_is_still_joined(tmp_path: Path) -> None:
    """From every door: the reply, the terminal event with its own seq, `after: 0` gives what
    is kept, an older cursor gets the snapshot and `gap`."""
    await past(tmp_path, 1)
    async with served(tmp_path) as house:
        await swept(house, "swept_logs", 1)
        shown = (await house.http.get("/api/tasks/t0")).json()["data"]
        seq = shown["seq"]
        assert shown["status"] == "completed"
        assert [event["seq"] for event in await house.events("t0")] == [seq]
        old = await house.http.get(
            "/api/tasks/t0/events", params={"after": "2", "log": shown["log"], "wait": "0"}
        )
        assert (old.json()["data"]["gap"], old.json()["data"]["task"]["seq"]) == (True, seq)
        async with house.connect() as phone:
            joined = await phone.join("task:t0")
            assert (await phone.until_event("completed"))["seq"] == seq
            whole = await phone.join("task:t0", {"after": 0}, join_ref="8")
            assert (await phone.until_event("completed"))["seq"] == seq
            gone = await phone.join("task:t0", {"after": 2, "log": shown["log"]}, join_ref="9")
        replies = [r["response"] for r in (joined, whole, gone)]
        assert [(r["gap"], r["seq"]) for r in replies] == [
            (False, seq),
            (False, seq - 1),
            (True, seq),
        ]


async def test_an_expired_task_is_gone_at_every_door(tmp_path: Path) -> None:
    """410 for its id and its key, its file is off the disk, and the gallery hears of it as
    of a deletion."""
    await past(tmp_path, 1)
    bytes_ = tmp_path / "artifacts" / "00" / f"{'0' * 62}.png"
    bytes_.parent.mkdir(parents=True)
    bytes_.write_bytes(b"x")
    async with served(tmp_path) as house, house.connect() as phone:
        reply = (await phone.join("tasks:mine"))["response"]
        seen = {"after": reply["position"], "log": reply["log"]}
        assert [task["task_id"] for task in reply["tasks"]] == ["t0"]
    async with served(tmp_path, task_retention_seconds=86_400.0) as house, house.connect() as phone:
        assert (await phone.join("tasks:mine", seen))["response"]["gap"] is False
        told = await phone.until(lambda frame: frame[3] == "task_deleted")
        assert told[4]["task_id"] == "t0"
        assert (await house.http.get("/api/tasks/t0")).status_code == 410
        assert (await phone.join("task:t0"))["response"]["code"] == "gone"
        body = {"kind": "image", "prompt": "x", "model": "scripted/image"}
        for sent in (body | {"id": "t0"}, body | {"request_id": "k0"}):
            answer = await house.post("/api/tasks", sent)
            assert (answer.status_code, answer.json()["code"]) == (410, "gone")
        await swept(house, "swept_tasks", 1)
        assert not bytes_.exists()


@pytest.mark.slow
async def test_creates_come_between_the_steps(tmp_path: Path) -> None:
    """While a thousand ended tasks are swept and expire, whoever creates one is answered
    in between; how much one step takes is counted in test_retention_steps.py."""
    await past(tmp_path, 1000, words=0)
    async with served(tmp_path, task_retention_seconds=86_400.0) as house:
        made = 0
        while counted(house, "swept_tasks") < 300:
            data = await house.create(prompt=f"while it sweeps {made}")
            assert (await house.events(data["task_id"]))[-1]["type"] == "completed"
            made += 1
        print("creates meanwhile:", made, "longest step:", counted(house, "sweep_step_ms_max"))
        assert made > 3
