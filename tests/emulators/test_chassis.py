"""What all emulators stand on: faults, the log of runs, the command, and the greeting."""

from __future__ import annotations

import asyncio
import io
import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import pytest

from safelight.cli import main
from safelight.cli.world import World
from safelight.emulators import PORTS
from safelight.emulators.faults import COMMON, BadFault, Fault, Faults, read_fault
from safelight.emulators.painting import film, picture, story
from safelight.emulators.runs import RunLog
from tests.doubles.emulated import emulated


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("fail", Fault("fail", "run")),
        ("throttle=2", Fault("throttle", "create", 2.0)),
        ("throttle=0.5:get@3", Fault("throttle", "get", 0.5, 3)),
        ("http-500=list", Fault("http-500", "list")),
    ],
)
def test_a_fault_is_read_as_it_is_written(text: str, fault: Fault) -> None:
    """Name, seconds, place and turn; and it is written so that it can be read again."""
    assert read_fault(text, COMMON) == fault
    assert read_fault(fault.written(), COMMON) == fault


@pytest.mark.parametrize("text", ["nonsense", "fail@x", ""])
def test_what_is_no_fault_is_named(text: str) -> None:
    """The message says what was found, and nothing is armed."""
    faults = Faults(COMMON)
    with pytest.raises(BadFault, match=text or "expected one of"):
        faults.arm(["fail@1", text])
    assert faults.written() == []


def test_a_fault_strikes_at_its_turn_and_its_place_alone() -> None:
    """The second create is struck, gets are not counted, and the third create is well."""
    faults = Faults(COMMON)
    faults.arm(["http-500@2"])
    struck = []
    for place in ("create", "get", "create", "create"):
        struck.append(faults.strikes("http-500", place) is not None)
    assert struck == [False, False, True, False]


def test_one_occasion_counts_for_all_faults_of_its_place() -> None:
    """Of two that are armed for the first and the second create, each strikes at its own."""
    faults = Faults(COMMON)
    faults.arm(["throttle@2", "http-500@1"])
    struck = [faults.one_of("http-500", "throttle", on="create") for _ in range(3)]
    assert [fault and fault.name for fault in struck] == ["http-500", "throttle", None]


def test_chance_is_decided_by_its_seed() -> None:
    """About the share that was asked for goes wrong, the same with the same seed."""
    names = ("http-500", "lost-answer", "hang")

    def play(seed: int) -> list[str]:
        faults = Faults(COMMON, 0.25, seed)
        return [f.name if (f := faults.one_of(*names, on="create")) else "" for _ in range(400)]

    first = play(7)
    assert first == play(7) != play(8)
    assert 60 < sum(map(bool, first)) < 140
    assert set(first) == {"", *names}


def test_runs_are_counted_once(tmp_path: Path) -> None:
    """An id that comes twice, and a second end, are mistakes of the emulator and raise."""
    log = RunLog(tmp_path / "log")
    log.ran("a", "m", 3000, "succeeded", prompt="x")
    with pytest.raises(ValueError, match="began before"):
        log.begun("a", "m")
    with pytest.raises(ValueError, match="ended before"):
        log.ended("a", "failed", 0)
    log.close()
    lines = [json.loads(line) for line in (tmp_path / "log").read_text().splitlines()]
    assert [line["event"] for line in lines] == ["begun", "ended"]
    assert log.runs()[0]["cost_micros"] == 3000


async def test_whoever_waits_for_a_line_is_woken_by_it() -> None:
    """For a run that begins, for the end of all of them, for a request; and not before."""
    log = RunLog()
    await log.wait_settled()
    log.begun("a", "m")
    asked = asyncio.create_task(log.wait_asked("/v1"))
    begun = asyncio.create_task(log.wait_begun(2))
    settled = asyncio.create_task(log.wait_settled())
    log.event("request", method="GET", path="/v2/files")
    await turns()
    assert not (asked.done() or begun.done() or settled.done())
    log.event("request", method="GET", path="/v1/files")
    assert await asked == 1
    log.ran("b", "m", 3000, "succeeded")
    await begun
    await turns()
    assert not settled.done()
    log.ended("a", "failed", 0)
    await settled


async def turns() -> None:
    """Whoever was woken has had its say."""
    for _ in range(10):
        await asyncio.sleep(0)


def test_an_emulator_answers_when_it_is_so(tmp_path: Path) -> None:
    """Over HTTP: the questions that wait, in this life of the process."""
    with emulated(tmp_path, "replicate", pace=0.01) as server:
        with ThreadPoolExecutor() as pool:
            waiting = (
                pool.submit(server.wait_asked, "/v1/predictions"),
                pool.submit(server.wait_begun),
            )
            body = {"version": "bytedance/seedream-3", "input": {"prompt": "a lamp"}}
            made = httpx2.post(f"{server.url}/v1/predictions", json=body, headers=server.headers)
            assert made.status_code == 201, made.text
            for each in waiting:
                each.result()
        assert [run["outcome"] for run in server.settled()] == ["succeeded"]
        server.kill()
        server.start()
        assert len(server.settled()) == 1


def test_paintings_follow_from_words_and_seed() -> None:
    """The same gives the same bytes, another seed gives others; films begin with their start."""
    one = picture("a cat", seed=1)
    assert one == picture("a cat", seed=1) != picture("a cat", seed=2)
    assert one.startswith(b"\x89PNG") and picture("a cat", share=0.2) != picture("a cat")
    assert film("a cat", start=one)[8:12] == b"WEBP"
    assert film("a cat", start=one) != film("a cat")
    assert story("a cat", seed=1) == story("a cat", seed=1)
    with pytest.raises(ValueError, match="no picture"):
        film("a cat", start=b"nonsense")


@pytest.mark.parametrize("words", ["--pace=-1", "--chaos=1.5", "--fault=nonsense"])
def test_what_cannot_be_is_told_in_one_line(words: str) -> None:
    """Exit code 2 and what was found."""
    err = io.StringIO()
    assert main(["emulate", "replicate", words], World({}, io.StringIO(), err, float)) == 2
    found = words.rpartition("=")[2]
    assert found in err.getvalue() and err.getvalue().count("\n") == 1


def test_an_unknown_name_is_told_with_those_that_are_known() -> None:
    """Exit code 2 and one line."""
    err = io.StringIO()
    assert main(["emulate", "nobody"], World({}, io.StringIO(), err, float)) == 2
    assert all(name in err.getvalue() for name in PORTS) and err.getvalue().count("\n") == 1


def test_faults_are_armed_and_forgotten_while_it_runs(tmp_path: Path) -> None:
    """POST adds, GET tells, DELETE forgets, and what cannot be read is a 400 that says why."""
    with emulated(tmp_path, "replicate", fault=["fail@3"]) as server:
        where = server.url + "/emulator/faults"
        server.arm("lost-answer@1")
        assert httpx2.get(where).json() == {"faults": ["fail=run@3", "lost-answer=create@1"]}
        wrong = httpx2.post(where, json={"faults": ["nonsense"]})
        assert wrong.status_code == 400 and "nonsense" in wrong.json()["error"]
        server.disarm()
        assert httpx2.get(where).json() == {"faults": []}


@pytest.mark.slow
def test_it_comes_back_on_its_port_and_its_log_goes_on(tmp_path: Path) -> None:
    """After a kill the address is the same, and requests of both lives are told."""
    with emulated(tmp_path, "replicate") as server:
        before = server.url
        httpx2.get(server.url + "/nothing")
        server.kill()
        server.start()
        httpx2.get(server.url + "/nothing")
        assert server.url == before
        assert server.asked("GET", "/nothing") == 2
        assert server.stop() == 0
        server.start()
