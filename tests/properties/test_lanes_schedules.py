"""Whatever happens between a lane, slow readers, comings and goings: every follower is told
every event once and in order.

Hypothesis draws what is told and what clients do, over real connections without a network.
"""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.app import running
from safelight.edges.context import Context
from safelight.providers.scripted import Scripted
from safelight.settings import Settings
from safelight_protocol import inputs as happened
from safelight_protocol.commands import read_create
from safelight_protocol.frames import V1, V2
from safelight_protocol.task import Task
from tests.doubles.lives import example
from tests.doubles.taps import Tap, Teller

TOPIC = "task:t1"
FOLLOWERS = 4
PATIENCE = 10.0

WHO = st.integers(0, FOLLOWERS - 1)
TELL = st.tuples(st.just("tell"), st.sampled_from([1, 1, 2, 5, 70]))
TEXT = st.tuples(st.just("text"), st.sampled_from([10, 30_000, 70_000]))
TICK = st.tuples(st.just("tick"), st.integers(1, 6))
REST = st.tuples(st.just("rest"), st.just(0))
FULL, TAKE, GO, AGAIN, PING = (
    st.tuples(st.just(doing), WHO) for doing in ("full", "take", "go", "again", "ping")
)
DOINGS = st.one_of(TELL, TICK, FULL, TELL, TICK, TAKE, TELL, REST, FULL, TEXT, GO, AGAIN, PING)


class Follower:
    """A client that comes back with the cursor of what it has taken."""

    def __init__(self, context: Context, number: int) -> None:
        self.context = context
        self.serializer = V1() if number == 0 else V2()
        self.heard: list[int] = []
        self.joins = 0
        self.joined_again = False
        self.come()

    def come(self) -> None:
        """Open a socket and join behind what was heard."""
        self.joined_again = False
        self.tap = Tap(self.context, self.serializer)
        self.join()

    def join(self) -> None:
        """Join, or join again, with a cursor."""
        self.joins += 1
        log = self.context.log.id
        last = self.heard[-1] if self.heard else 0
        cursor: Any = f"{log}-{last}" if last else 0
        self.tap.join(TOPIC, {"after": cursor}, ref=str(self.joins))

    def take_in(self) -> None:
        """Hear what was written since. Only who joined again on one socket may be told what
        it knows: the old join was not over yet."""
        for seq in self.tap.seqs(TOPIC):
            known = bool(self.heard) and seq <= self.heard[-1]
            assert not known or self.joined_again
            if not known:
                self.heard.append(seq)
        self.tap.written.clear()

    def do(self, doing: str) -> None:
        """One of the things that clients do."""
        match doing:
            case "full":
                self.tap.taking = False
            case "take":
                self.tap.take()
            case "go":  # what was not taken is lost with the line
                if self.tap.taking:
                    self.take_in()
                self.tap.lose()
                self.come()
            case "again":
                self.tap.take()
                self.take_in()
                self.joined_again = True
                self.join()
            case "ping":
                self.tap.say(str(self.joins), "p", TOPIC, "ping", {})


async def begun(context: Context) -> Task:
    """A task that its provider leaves alone."""
    script = {"script": [{"do": "wait", "gate": "never"}]}
    asked = {"id": "t1", "kind": "text", "prompt": "x", "model": "scripted/text", "params": script}
    await context.orchestrator.create("local", read_create(asked, key=None))
    while True:
        task = await context.orchestrator.find("local", "t1")
        if task.handle is not None:
            return task
        await asyncio.sleep(0)


def carry_out(teller: Teller, followers: list[Follower], doing: str, amount: int) -> None:
    """One thing that happens, all at once."""
    match doing:
        case "tell":
            teller.tell(*[happened.Progressed(0.5, 1, 2, None)] * amount)
        case "text":
            teller.tell(happened.Wrote("x" * amount))
        case _:
            followers[amount].do(doing)


async def rest(context: Context, followers: list[Follower]) -> None:
    """Wait until whoever takes what is written has all of it."""
    while context.lanes.statistics()["laned"] < sum(f.tap.taking for f in followers):  # noqa: ASYNC110
        await asyncio.sleep(0)


async def play(doings: list[tuple[str, int]], folder: str) -> None:
    """Play it to the task's end, let everybody take everything, and compare."""
    chosen = Settings(data_dir=str(Path(folder)), scripted=True)
    async with running(chosen, {"scripted": Scripted()}) as context, asyncio.timeout(PATIENCE):
        teller = Teller(context, await begun(context))
        followers = [Follower(teller.context, number) for number in range(FOLLOWERS)]
        await rest(context, followers)
        for doing, amount in doings:
            if doing == "tick":
                for _ in range(amount):
                    await asyncio.sleep(0)
            elif doing == "rest":
                await rest(context, followers)
            else:
                carry_out(teller, followers, doing, amount)
        teller.tell(example(happened.Finished))
        whole = list(range(1, teller.task.seq + 1))
        for follower in followers:
            while follower.heard[-1:] != whole[-1:]:
                follower.tap.take()
                follower.take_in()
                await asyncio.sleep(0)
        assert [follower.heard for follower in followers] == [whole] * FOLLOWERS
        for follower in followers:
            assert follower.tap.closes == []
            follower.tap.lose()
        assert context.lanes.statistics() == {"lanes": 0, "laned": 0}
        assert (len(context.guests), len(context.wheel)) == (0, 0)
        assert context.subscriptions.statistics()["followers"] == 0


@settings(max_examples=100)
@given(st.lists(DOINGS, min_size=8, max_size=40))
def test_every_follower_is_told_every_event_once(doings: list[tuple[str, int]]) -> None:
    """In order, to the end, whoever was slow, left, or joined again meanwhile; and nothing
    is left behind of who has gone."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(play(doings, folder))
