"""The Python client over one socket: joins, folds, comes back, and stops at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from safelight.client import (
    Client,
    Event,
    NotOpen,
    RequestRefused,
    UnknownEvent,
    Watch,
    WrongAnswer,
    connect,
)
from safelight_protocol.snapshot import Snapshot
from tests.doubles.phoenix_end import WAIT_SECONDS, Line, PhoenixEnd, phoenix_end
from tests.doubles.tellings import event, failed, reply, snapshot

T = "task:t"


@asynccontextmanager
async def met(**more: Any) -> AsyncIterator[tuple[PhoenixEnd, Client]]:
    """A client and the server that it speaks to. No fixture: those are entered and left
    in tasks of their own, which a task group does not survive."""
    async with phoenix_end() as end, connect(end.url, **more) as client:
        yield end, client


async def following(watch: Watch) -> Snapshot:
    """The watch's next snapshot, in bounded time."""
    async with asyncio.timeout(WAIT_SECONDS):
        return await anext(watch)


async def until(watch: Watch, seq: int) -> Snapshot:
    """The first snapshot at `seq` or after it."""
    while (shown := await following(watch)).seq < seq:
        pass
    return shown


async def begun(end: PhoenixEnd, client: Client, seq: int = 3, **more: Any) -> tuple[Line, Watch]:
    """A watch that has joined and shown its first snapshot, at `seq`."""
    watch = client.watch("t", **more)
    line = await end.line()
    await line.accept(reply(seq))
    assert (await following(watch)).seq == seq
    return line, watch


async def test_a_watch_ends_with_its_task() -> None:
    """It shows where the task stands, each newer state, its end, and then leaves."""
    async with met() as (end, client):
        line, watch = await begun(end, client)
        await line.tell(T, event(4))
        assert (await following(watch)).step == 4
        await line.tell(T, failed(5))
        last = await following(watch)
        assert last.error_data is not None and last.error_data.code == "provider_failed"
        with pytest.raises(StopAsyncIteration):
            await following(watch)
        assert (await line.read())[2:4] == [T, "phx_leave"]


async def test_an_ended_task_is_shown_once() -> None:
    """The reply alone holds the end; that it is told again changes nothing."""
    async with met() as (end, client):
        watch = client.watch("t")
        line = await end.line()
        await line.accept(reply(5, status="failed"))
        await line.tell(T, failed(5))
        assert [shown.status async for shown in watch] == ["failed"]


async def test_it_comes_back_with_its_cursor() -> None:
    """After a restart it joins from where it stood, and no event is told twice."""
    async with met() as (end, client):
        seen: list[Event] = []
        line, watch = await begun(end, client, on_event=seen.append)
        await line.tell(T, event(4), event(5))
        await until(watch, 5)
        await line.hang_up(1012)
        line = await end.line()
        join = await line.accept(reply(7, after=5))
        assert join[4] == {"after": "l-5"}
        await line.tell(T, event(5), event(6), event(7), failed(8))
        assert (await until(watch, 8)).status == "failed"
        assert [told.seq for told in seen] == [4, 5, 6, 7, 8]


async def test_a_cut_connection_is_no_end() -> None:
    """Losing the line before the first reply only means to ask again, without a cursor."""
    async with met() as (end, client):
        watch = client.watch("t")
        line = await end.line()
        await line.read()
        await line.hang_up(1011)
        line = await end.line()
        assert (await line.accept(reply(3)))[4] == {}
        assert (await following(watch)).seq == 3


async def test_a_hole_takes_the_snapshot() -> None:
    """A missing event makes it join again, and the server's snapshot counts."""
    async with met() as (end, client):
        line, watch = await begun(end, client)
        await line.tell(T, event(6))
        join = await line.accept(reply(6, after=3, text="whole"))
        assert join[4] == {"after": "l-3"}
        shown = await following(watch)
        assert (shown.seq, shown.text) == (6, "whole")
        await line.tell(T, event(4), event(5), event(6), event(7))
        assert (await following(watch)).seq == 7


async def test_a_gap_takes_the_snapshot() -> None:
    """When the history is another one, its snapshot counts, however old it is."""
    async with met() as (end, client):
        line, watch = await begun(end, client, seq=9)
        await line.hang_up()
        line = await end.line()
        await line.accept(reply(2, gap=True))
        assert (await following(watch)).seq == 2
        await line.tell(T, event(3))
        assert (await following(watch)).seq == 3


async def test_an_unknown_event_is_kept() -> None:
    """An event of a later version moves the snapshot on and is handed over whole."""
    async with met() as (end, client):
        seen: list[Event] = []
        line, watch = await begun(end, client, on_event=seen.append)
        await line.tell(T, event(4, "upscaled", canceling=True, factor=4))
        shown = await following(watch)
        assert (shown.seq, shown.progress, shown.canceling) == (4, 0.04, True)
        (kept,) = seen
        assert isinstance(kept, UnknownEvent)
        assert (kept.type, b'"factor": 4' in bytes(kept.raw)) == ("upscaled", True)


async def test_what_is_no_event_is_ignored() -> None:
    """Other pushes of the channel, and events without an envelope, change nothing."""
    async with met() as (end, client):
        line, watch = await begun(end, client)
        await line.tell(T, {"type": "progress"})
        await line.push(["1", None, T], "status", {"status": "failed"})
        await line.tell(T, event(4))
        assert (await following(watch)).status == "processing"


async def test_a_truncated_snapshot_is_fetched() -> None:
    """The whole one comes over REST; events that were told meanwhile are not lost."""
    async with met() as (end, client):
        end.documents["/api/tasks/t"] = {"data": snapshot(4, text="a long ", kind="text")}
        watch = client.watch("t")
        line = await end.line()
        cut = reply(3, kind="text")
        cut["task"] |= {"truncated": True, "url": "/api/tasks/t"}
        join = await line.read()
        await line.reply(join, "ok", cut)
        await line.tell(T, event(4, "text", delta="long "), event(5, "text", delta="story"))
        assert (await until(watch, 5)).text == "a long story"


class Answers(dict[str, Any]):
    """Documents that are read in turn: each reading of a path is the next of its list."""

    def __getitem__(self, path: str) -> Any:
        return super().__getitem__(path).pop(0)


async def test_what_a_frame_could_not_hold_is_fetched() -> None:
    """An event that was cut shows nothing by itself: the whole comes over REST, asked for
    until it is as new as the event."""
    async with met() as (end, client):
        line, watch = await begun(end, client)
        old, new = snapshot(3, text="a", kind="text"), snapshot(4, text="a long story", kind="text")
        end.documents = Answers({"/api/tasks/t": [{"data": old}, {"data": new}]})
        await line.tell(T, event(4, "text", delta="?") | {"truncated": True})
        await line.tell(T, event(5, "text", delta=" told"))
        assert (await until(watch, 5)).text == "a long story told"


async def test_an_unknown_task_is_refused() -> None:
    """The watch raises what the server said, with its code."""
    async with met() as (end, client):
        watch = client.watch("t")
        line = await end.line()
        refusal = {"reason": "Task not found", "code": "not_found", "message": "No such task."}
        await line.reply(await line.read(), "error", refusal)
        with pytest.raises(RequestRefused) as caught:
            await following(watch)
        assert (caught.value.code, str(caught.value)) == ("not_found", "No such task.")


async def test_a_closed_channel_ends_the_watch() -> None:
    """The server may end a channel for good, when somebody signs out."""
    async with met() as (end, client):
        line, watch = await begun(end, client)
        await line.push(["1", None, T], "phx_close", {})
        with pytest.raises(RequestRefused, match="closed the channel"):
            await following(watch)


async def test_a_deleted_task_ends_the_watch_as_gone() -> None:
    """Whoever watches a task that is deleted is told so, and waits no more."""
    async with met() as (end, client):
        line, watch = await begun(end, client)
        await line.push(["1", None, T], "task_deleted", {"task_id": "t"})
        with pytest.raises(RequestRefused, match="deleted") as refused:
            await following(watch)
    assert refused.value.code == "gone"


async def test_a_broken_snapshot_ends_the_watch() -> None:
    """A server that cannot be understood is said to be so, not tried for ever."""
    async with met() as (end, client):
        watch = client.watch("t")
        line = await end.line()
        await line.accept({"task": {"seq": "three"}, "cursor": "l-3"})
        with pytest.raises(WrongAnswer, match="cannot be read"):
            await following(watch)


@pytest.mark.parametrize(("status", "code"), [(401, "unauthorized"), (403, "forbidden")])
async def test_a_refused_socket_is_not_tried_again(status: int, code: str) -> None:
    """A token that is wrong stays wrong: the watch says so after one handshake."""
    async with met() as (end, client):
        end.refusals = [status]
        with pytest.raises(RequestRefused) as caught:
            await following(client.watch("t"))
        assert (caught.value.code, end.handshakes) == (code, 1)


async def test_a_server_in_trouble_is_tried_again() -> None:
    """A handshake answered 503 is a server that is not back yet; lines are told as they change."""
    lines: list[bool] = []
    async with met(on_line=lines.append) as (end, client):
        end.refusals = [503, 503]
        watch = client.watch("t")
        line = await end.line()
        await line.accept(reply(3))
        assert (await following(watch)).seq == 3
        assert (end.handshakes, lines) == (3, [True])


async def test_watches_of_one_task_share_a_channel() -> None:
    """The second begins with what is known; the channel is left with the last of them."""
    async with met() as (end, client):
        line, first = await begun(end, client)
        second = client.watch("t")
        assert (await following(second)).seq == 3
        first.close()
        await line.tell(T, event(4))
        assert (await following(second)).seq == 4
        second.close()
        assert (await line.read())[3] == "phx_leave"
        with pytest.raises(StopAsyncIteration):
            await following(second)


async def test_a_slow_watcher_sees_the_newest() -> None:
    """What nobody looked at in time is skipped; every event of it is in the snapshot."""
    async with met() as (end, client):
        seen: list[int] = []
        told = asyncio.Event()

        def note(event: Event) -> None:
            seen.append(event.seq)
            if event.seq == 40:
                told.set()

        watch = client.watch("t", note)
        line = await end.line()
        await line.accept(reply(3, kind="text"))
        await line.tell(T, *(event(seq, "text", delta="x") for seq in range(4, 41)))
        async with asyncio.timeout(WAIT_SECONDS):
            await told.wait()
        shown = await following(watch)
        assert (shown.seq, shown.text, len(seen)) == (40, "x" * 37, 37)


async def test_a_closed_client_ends_its_watches() -> None:
    """Whoever still waits is told, and the socket is closed politely."""
    async with phoenix_end() as end:
        async with connect(end.url) as client:
            line, watch = await begun(end, client)
            waiting = asyncio.create_task(following(watch))
            await asyncio.sleep(0)
        with pytest.raises(NotOpen):
            await waiting
        assert await line.wait_closed() == 1000


async def test_the_body_of_connect_raises_its_own() -> None:
    """An exception inside the block comes out as it is, not wrapped in a group."""
    with pytest.raises(KeyError, match="mine"):
        async with met():
            raise KeyError("mine")


async def test_the_address_must_be_one() -> None:
    """An address that is not http is refused before anything is tried."""
    with pytest.raises(ValueError, match="expected an http or https address"):
        async with connect("safelight.example"):
            pass
