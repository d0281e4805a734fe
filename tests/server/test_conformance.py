"""The conformance kit: it passes our server whole, and names what is wrong with others.

The others are our server with a liar in front of it, one lie each; a kit that cannot
fail would be worth nothing.
"""

from __future__ import annotations

import functools
import io
import json
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from safelight import conformance
from safelight.cli import main
from safelight.cli.world import World
from safelight.conformance import CHECKS, Verdict
from tests.doubles.liar import Lie
from tests.doubles.served import served

TASKS = {"kind": "text", "model": "scripted/text"}
SLOW = {"script": [{"do": "hang"}]}


async def verdicts(url: str, only: str = "", patience: float = 10.0) -> dict[str, Verdict]:
    """The verdicts of the checks whose name contains `only`, by name."""
    chosen = [one for one in CHECKS if only in one.name]
    async with conformance.connect(url, tasks=TASKS, slow=SLOW, patience=patience) as endpoint:
        return {one.check: one async for one in conformance.run(endpoint, chosen)}


@pytest.mark.slow
async def test_our_server_conforms(tmp_path: Path):
    """Every check passes against the real server, and none is left out."""
    async with served(tmp_path) as house:
        found = await verdicts(house.url)
    assert {name: v.found for name, v in found.items() if v.outcome != "passed"} == {}
    assert len(found) == len(CHECKS) > 60


def test_every_check_says_what_it_claims():
    """A check has a name of its own, one sentence, and a section of docs/wire.md."""
    wire = Path("docs/wire.md").read_text()
    headings = {line.lstrip("# ").replace("`", "") for line in wire.splitlines() if line[:1] == "#"}
    assert len({one.name for one in CHECKS}) == len(CHECKS)
    for one in CHECKS:
        assert one.claim.endswith(".") and one.section in headings, one.name


def frame_lie(change: Callable[[list[Any]], list[Any] | None]) -> Lie:
    """A lie about the frames of a V2 socket; None swallows the frame."""

    def told(text: str) -> str | None:
        frame = json.loads(text)
        changed = change(frame) if isinstance(frame, list) else frame
        if changed is None:
            return None
        return json.dumps(changed, separators=(",", ":"), ensure_ascii=False)

    return Lie(frame=told)


def number_of(frame: list[Any]) -> list[Any]:
    if frame[3] == "phx_reply" and frame[2] == "phoenix" and frame[1].isdigit():
        frame[1] = int(frame[1])
    return frame


def without(frame: list[Any], seq: int) -> list[Any] | None:
    return None if frame[3] == "progress" and frame[4].get("seq") == seq else frame


def without_close(frame: list[Any]) -> list[Any] | None:
    return None if frame[3] == "phx_close" else frame


def own_refs(frame: list[Any]) -> list[Any]:
    return ["1", None, *frame[2:]] if frame[3] == "progress" else frame


def never_a_gap(frame: list[Any]) -> list[Any]:
    if frame[3] == "phx_reply" and "gap" in frame[4]["response"]:
        frame[4]["response"]["gap"] = False
    return frame


def one_ahead(frame: list[Any]) -> list[Any]:
    if frame[3] == "phx_reply" and "cursor" in frame[4]["response"]:
        told = frame[4]["response"]
        told["seq"] += 1
        told["cursor"] = f"{told['log']}-{told['seq']}"
    return frame


def without_canceling(frame: list[Any]) -> list[Any] | None:
    return None if frame[4].get("type") in ("started", "canceling") else frame


def early_response(frame: list[Any]) -> list[Any]:
    """One more than there should be, in the place of an event."""
    if frame[4].get("type") == "started":
        return [*frame[:3], "llm_response", {"success": True}]
    return frame


def late_response() -> Callable[[list[Any]], list[Any] | None]:
    """Held back until the end was told; it takes the place of the next frame."""
    held: list[list[Any]] = []

    def told(frame: list[Any]) -> list[Any] | None:
        if frame[3] == "llm_response":
            held.append(frame)
            return None
        return held.pop() if held and frame[4].get("type") is None else frame

    return told


def results_backwards(body: bytes) -> bytes:
    if b'"results":' not in body:
        return body
    told = json.loads(body)
    told["data"]["results"].reverse()
    return json.dumps(told).encode()


def always_a_gap(body: bytes) -> bytes:
    told = body.replace(b'"gap":false', b'"gap":true')
    return told.replace(b'"ended":true', b'"ended":false')


LIES = {
    "channels.join_without_a_cursor": frame_lie(one_ahead),
    "channels.join_without_a_cursor, then": frame_lie(without_canceling),
    "channels.cancel": Lie(body=lambda body: body.replace(b'"canceled"', b'"completed"')),
    "channels.response_before_the_end": frame_lie(late_response()),
    "channels.response_before_the_end, twice": frame_lie(early_response),
    "identity.alike_while_one_runs": Lie(status={200: 202}),
    "identity.one_id_within_a_batch": Lie(body=results_backwards),
    "streams.long_poll": Lie(body=always_a_gap),
    "frames.heartbeat": frame_lie(number_of),
    "channels.create_by_joining": frame_lie(lambda frame: without(frame, 2)),
    "channels.one_frame_for_all": frame_lie(own_refs),
    "channels.gap": frame_lie(never_a_gap),
    "sessions.duplicate_join": frame_lie(without_close),
    "frames.compact_json": Lie(frame=lambda text: json.dumps(json.loads(text))),
    "rest.create": Lie(status={202: 201}),
    "streams.nothing_after_the_end": Lie(status={204: 200}),
    "rest.unknown_field": Lie(body=lambda body: body.replace(b'"colour"', b'"color"')),
    "streams.whole_story": Lie(body=lambda body: body.replace(b'"seq":2', b'"seq":3')),
    "identity.another_request_under_a_key": Lie(status={422: 409}),
    "streams.foreign_cursor": Lie(body=lambda body: body.replace(b"event: gap", b"event: lost")),
}


@pytest.mark.parametrize("name", sorted(LIES))
async def test_a_lie_is_named(name: str, tmp_path: Path):
    """The check that holds a server to a rule fails one that breaks it, with evidence."""
    check = name.partition(",")[0]
    async with served(tmp_path, wrapped=LIES[name]) as house:
        found = await verdicts(house.url, check, patience=3.0)
    assert found[check].outcome == "failed"
    assert found[check].found.partition(" ")[0] not in ("KeyError:", "TypeError:")


@pytest.mark.parametrize("only", ["streams.long_poll", "streams.cursor_from", "channels.resume"])
async def test_who_tells_a_gap_for_ever_ends_no_run_late(only: str, tmp_path: Path):
    """Every check, and the tidying after it, is over within its patience, and is told."""
    patience = 0.5

    def never_ends(body: bytes) -> bytes:
        return body.replace(b'"ended":true', b'"ended":false').replace(b'"type":"c', b'"type":"C')

    for lie in (always_a_gap, never_ends):
        async with served(tmp_path, wrapped=Lie(body=lie)) as house:
            with anyio.fail_after(60):
                found = await verdicts(house.url, only, patience=patience)
        assert {one.outcome for one in found.values()} == {"failed"}


async def test_nobody_there():
    """Where nobody answers the run ends at once and says so."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(conformance.Unreachable):
        await verdicts(f"http://127.0.0.1:{port}")


@pytest.mark.slow
async def test_a_lie_shows_in_the_exit_code(tmp_path: Path):
    """The command prints a line a check, the evidence of what failed, and returns 1."""
    arguments = ["--model", "scripted/text", "--only", "frames.heartbeat"]
    codes, lines = [], []
    for lie in (LIES["frames.heartbeat"], Lie()):
        async with served(tmp_path, wrapped=lie) as house:
            out = io.StringIO()
            world = World({}, out, out, lambda: 0.0)
            run = functools.partial(main, ["conformance", house.url, *arguments], world)
            codes.append(await anyio.to_thread.run_sync(run))
            lines.append(out.getvalue().splitlines())
    assert codes == [1, 0]
    assert lines[0][0].startswith("FAILED") and "found" in lines[0][1]
    assert lines[0][-1].startswith("1 checks: 0 passed, 1 failed, 0 not offered")
    assert [line[:6] for line in lines[1]] == ["ok    ", "1 chec"]
