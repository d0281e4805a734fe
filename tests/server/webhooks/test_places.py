"""Places and turns: however many owners hang, whoever comes finds room, and has a turn."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight.store import DeliveryRow
from safelight.webhooks.places import (
    AT_ONCE,
    PER_HOST,
    PER_OWNER,
    SLOW_AT_ONCE,
    SLOW_FOR_MS,
    SLOW_MS,
    Places,
)
from safelight.webhooks.posting import NotTaken, Poster, Taken
from safelight.webhooks.turns import Turns
from tests.doubles.outgoing import Desk, desk
from tests.doubles.receiver import receiving
from tests.doubles.served import PATIENCE
from tests.doubles.turns import until

NOW = 1_800_000_000_000


def row(id: str, owner: str, host: str = "h") -> DeliveryRow:
    """A notice of an owner's."""
    times: dict[str, Any] = {"next_at": NOW, "created_at": NOW, "updated_at": NOW}
    named: dict[str, Any] = {"id": id, "owner": owner, "task_id": "t", "seq": 1, "type": "x"}
    return DeliveryRow(**named, url="u", host=host, body="{}", **times)


class Queue:
    """Places and turns with owners who always have something due, each at a host of its own."""

    def __init__(self) -> None:
        self.places = Places()
        self.turns = Turns(self.places)
        self.now = NOW
        self.held: list[tuple[DeliveryRow, int]] = []
        self._made = 0

    def begin(self) -> list[str]:
        """Fill the places; the owners who got one, in their order."""
        served = []
        while (turn := self.turns.next(self.now)) is not None:
            owner, slow = turn
            self._made += 1
            one = row(str(self._made), owner, host=str(self._made))
            assert self.places.take(one, slow=slow)
            self.held.append((one, self.now))
            served.append(owner)
            self.turns.come(owner, self.now)
        return served

    def end(self, place: int = 0) -> None:
        """One of those under way is over."""
        one, began = self.held.pop(place)
        self.places.leave(one, began, self.now)
        self.turns.come(one.owner, self.now)

    def hang(self) -> None:
        """All under way are given up after their time."""
        self.now += 20_000
        while self.held:
            self.end()


@pytest.mark.parametrize(("owners", "left"), [(1, 32), (2, 21), (10, 5), (32, 1), (63, 1)])
def test_who_hangs_leaves_room(owners: int, left: int) -> None:
    """So much is left by so many who take all they can; and one more finds a place at once."""
    queue = Queue()
    for number in range(owners):
        queue.turns.come(f"eve-{number}", NOW)
    queue.begin()
    assert queue.places.free == left
    queue.turns.come("ann", NOW)
    assert "ann" in queue.begin()


@pytest.mark.parametrize("owners", [3, 64, 500])
def test_who_was_slow_shares_one_half(owners: int) -> None:
    """However many they are: once they have hung, half of the places are others'."""
    queue = Queue()
    for number in range(owners):
        queue.turns.come(f"eve-{number}", NOW)
    for _ in range(owners // SLOW_AT_ONCE + 2):
        queue.begin()
        queue.hang()
    queue.begin()
    assert len(queue.held) <= SLOW_AT_ONCE < AT_ONCE
    queue.turns.come("ann", queue.now)
    assert queue.begin().count("ann") >= AT_ONCE // 4


def test_slow_owners_have_their_turns() -> None:
    """In half of the places each in its turn, also beside others who want all they can get;
    and those who are quick again have the whole again."""
    queue = Queue()
    for number in range(70):
        queue.turns.come(f"eve-{number}", NOW)
    for _ in range(3):
        queue.begin()
        queue.hang()
    queue.turns.come("ann", queue.now)
    seen: set[str] = set()
    for _ in range(4):
        queue.begin()
        seen |= {one.owner for one, _ in queue.held}
        queue.hang()
    assert {f"eve-{number}" for number in range(70)} <= seen
    assert queue.places.slow("eve-1", queue.now)
    assert not queue.places.slow("eve-1", queue.now + SLOW_FOR_MS)


class Counting(Places):
    """Places that count how often somebody's room is asked for."""

    asked = 0

    def room(self, owner: str, *, slow: bool) -> int:
        """The same, counted."""
        self.asked += 1
        return super().room(owner, slow=slow)


def test_slow_owners_who_wait_cost_others_nothing() -> None:
    """While their half is taken nobody looks through them for one who could begin."""
    queue = Queue()
    queue.places = Counting()
    queue.turns = Turns(queue.places)
    for number in range(1000):
        queue.places._remember(f"eve-{number}", "h", NOW)
        queue.turns.come(f"eve-{number}", NOW)
    assert len(queue.begin()) == SLOW_AT_ONCE
    queue.places.asked = 0
    for _ in range(5):
        queue.turns.come("ann", NOW)
        assert queue.turns.next(NOW) == ("ann", False)
    assert queue.places.asked == 5


def test_a_clock_that_was_set_back_makes_nobody_slow() -> None:
    """Who was slow by a clock that was ahead is so no longer than by any other."""
    places = Places()
    ahead = NOW + 86_400_000
    places._remember("eve", "h", ahead)
    assert places.slow("eve", ahead)
    assert not places.slow("eve", NOW) and places.behind("eve", NOW) == []
    places._remember("ann", "h", NOW)
    assert list(places._slow_until) == ["ann"], "what is out of date takes no room"
    assert list(places._slow_hosts) == ["ann"]


def test_turns_go_round() -> None:
    """Of more owners than places each has one before any has a second, whoever came first."""
    queue = Queue()
    owners = [f"o{number:03}" for number in range(200)]
    for owner in owners:
        queue.turns.come(owner, NOW)
    served: list[str] = []
    while len(served) < 200:
        served += queue.begin()
        queue.end()
    assert served[:200] == owners


def test_a_line_has_few() -> None:
    """Of one owner at one host so many are under way; another owner has as many at the same."""
    places = Places()
    for owner in ("eve", "ann"):
        taken = [places.take(row(f"{owner}{n}", owner), slow=False) for n in range(PER_HOST + 1)]
        assert taken == [True] * PER_HOST + [False]
        assert places.full(owner) == ["h"]


def test_later_is_the_earliest_that_was_said() -> None:
    """An owner comes into line when the first of what is due is; what is said again and again
    takes no room."""
    turns = Turns(Places())
    for number in range(1000):
        turns.later("ann", NOW + 1000 - number)
        turns.later("bob", NOW + 2000)
    assert turns.first() == NOW + 1
    assert len(turns._heap) < 100
    assert turns.next(NOW) is None
    assert turns.next(NOW + 1) == ("ann", False)
    assert turns.next(NOW + 1999) is None
    assert turns.next(NOW + 2000) == ("bob", False)
    assert turns.first() is None


@settings(max_examples=30, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 90))
def test_counts_come_back_to_nothing(dice: random.Random, owners: int) -> None:
    """Whoever comes and goes: never more than all are taken, never more than a half by the
    slow; and in the end all are free."""
    queue = Queue()
    for number in range(owners):
        queue.turns.come(f"o{number}", NOW)
    for _ in range(30):
        queue.begin()
        assert 0 <= queue.places.free
        queue.now += dice.choice([1, SLOW_MS + 1])
        for _ in range(min(len(queue.held), dice.randint(1, 40))):
            queue.end(dice.randrange(len(queue.held)))
    while queue.held:
        queue.end()
    assert queue.places.free == AT_ONCE
    assert not queue.places._rows and not queue.places._lines and not queue.places._as_slow


async def test_two_who_hang_keep_nobody_waiting(tmp_path: Path) -> None:
    """Two owners with as many hanging receivers as there are places: another's notice goes
    out beside them at once."""
    async with receiving() as hangs, receiving() as good:
        hangs.answers = [None] * 200
        async with desk(tmp_path, seconds=PATIENCE * 2, begun=False) as place:
            for number in range(2 * AT_ONCE):
                owner, host = f"eve{number % 2}", f"h{number}.example"
                await place.give(f"e{number:03}", hangs.url(), host=host, owner=owner)
            place.begin.set()
            await hangs.wait(43)
            await place.give("msg_ann", good.url(), owner="ann")
            await good.wait(1)
        assert len(hangs.calls) < AT_ONCE


async def test_a_host_that_hangs_for_one_owner_serves_another(tmp_path: Path) -> None:
    """Who fills a host's places fills their own only."""
    async with receiving() as receiver:
        receiver.answers = [None] * PER_HOST
        async with desk(tmp_path, seconds=PATIENCE * 2) as place:
            for number in range(9):
                await place.give(f"e{number}", receiver.url(), owner="eve")
            await receiver.wait(PER_HOST)
            await place.give("msg_ann", receiver.url(), owner="ann")
            await until(lambda: place.sender.sent == 1)
        assert receiver.calls[-1].headers["webhook-id"] == "msg_ann"


async def test_owners_nobody_names_are_found(tmp_path: Path) -> None:
    """What waits at a start is sent, of more owners than are looked for at once; and a row
    that nobody told of is found within a minute."""
    async with receiving() as receiver:
        async with desk(tmp_path, begun=False) as place:
            for number in range(120):
                await place.give(f"m{number:03}", receiver.url(), owner=f"o{number:03}")
        async with desk(tmp_path) as place:
            await receiver.wait(120)
            await until(lambda: place.sender.sent == 120)
            await place.slip("late", receiver.url(), owner="zoe")
            place.hands.move(60)
            await receiver.wait(121)


async def test_nobody_is_overlooked_by_a_clock_that_was_set_back(tmp_path: Path) -> None:
    """A row that nobody told of is found within a minute by the clock as it is then."""
    async with receiving() as receiver, desk(tmp_path) as place:
        await place.give("msg_1", receiver.url())
        await receiver.wait(1)
        place.hands.move(-86_400)
        await place.give("msg_2", receiver.url())
        await until(lambda: place.sender.sent == 2)
        await place.slip("late", receiver.url(), owner="zoe")
        place.hands.move(60)
        await receiver.wait(3)


async def test_a_retry_is_in_time_behind_one_that_hangs(tmp_path: Path) -> None:
    """Of the same owner and host: what is due again while another try is under way goes when
    it is due."""
    async with receiving() as receiver, desk(tmp_path, seconds=PATIENCE * 2) as place:
        receiver.answers = [None, (500, {})]
        await place.give("msg_0", receiver.url())
        await receiver.wait(1)
        await place.give("msg_1", receiver.url())
        await until(lambda: place.sender.failed == 1)
        for _ in range(9):  # asked behind whatever the sender asks by now
            await place.states()
        place.hands.move(5)
        calls = await receiver.wait(3)
        assert calls[-1].headers["webhook-id"] == "msg_1"


def test_one_alone_has_half() -> None:
    """As the page says."""
    assert Places().room("ann", slow=False) == PER_OWNER
    assert Places().room("ann", slow=True) == SLOW_AT_ONCE // 2


class Hanging(Poster):
    """Hosts at which a try hangs until it is let go, in vain; the one called good takes all."""

    gates: ClassVar[list[asyncio.Event]] = []

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Taken | NotTaken:
        """Try nothing."""
        if url == "good":
            return Taken()
        gate = asyncio.Event()
        self.gates.append(gate)
        await gate.wait()
        return NotTaken("no answer")


async def hang(place: Desk, gates: list[asyncio.Event], hosts: int) -> None:
    """More rows wait than have been tried, and every host has been slow."""
    for number in range(120):
        await place.slip(f"e{number:03}", "hangs", host=f"h{number % hosts}")
    place.sender.news("ann")
    await until(lambda: len(gates) == min(PER_OWNER, PER_HOST * hosts))
    for _ in range(4):
        place.hands.move(SLOW_MS / 1000 + 1)
        while gates:
            gates.pop().set()
        await until(lambda: len(gates) == SLOW_AT_ONCE // 2)


@pytest.mark.parametrize("hosts", [4, 8, 24])
async def test_hosts_that_hang_keep_no_other_of_their_owner_waiting(
    tmp_path: Path, hosts: int
) -> None:
    """However many of an owner's receivers hang, and however long their rows have waited:
    the next place that is free goes to the one that does not."""
    Hanging.gates = []
    async with desk(tmp_path, poster=Hanging) as place:
        await hang(place, Hanging.gates, hosts)
        await place.give("msg_1", "good", host="good")
        await place.give("msg_2", "good", host="good")
        Hanging.gates.pop().set()
        await until(lambda: place.sender.sent == 2)
