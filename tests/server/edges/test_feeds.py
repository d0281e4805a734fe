"""A feed and its host: when a follower may be written to by a lane."""

from __future__ import annotations

from typing import Any

from safelight.edges.feeds import Feed
from safelight.edges.voice import Frames, Voice
from safelight_protocol.frames import V2
from safelight_protocol.session import Session
from tests.doubles.served import Served


class Host:
    """Whoever opened a feed; says whether its reader takes anything."""

    is_taking = False

    def stir(self, feed: Feed) -> None:
        """Nothing is pulled by itself here."""

    def deleted(self, feed: Feed) -> Frames | None:
        """It is not."""

    def left(self, feed: Feed) -> None:
        """It does not."""

    def failed(self, feed: Feed, defect: Exception) -> None:
        """It does not."""


async def test_who_takes_nothing_enters_no_lane(house: Served) -> None:
    """A pull that finds nothing while the reader's buffer is full leaves the feed where it
    is; the next one, when it takes again, puts it into its lane."""
    await house.create(id="t1", params={"script": [{"do": "wait", "gate": "never"}]})
    context = house.context
    task = await context.orchestrator.find("local", "t1")
    voice = Voice(topic="task:t1", serializer=V2(), session=Session(V2(), now=0.0))
    written: list[Any] = []
    host = Host()
    feed = Feed(context, host, task, voice, cursor=0, write=written.append)
    while await feed.pull(10_000):
        pass
    assert context.lanes.statistics() == {"lanes": 0, "laned": 0}
    host.is_taking = True
    while await feed.pull(10_000):
        pass
    assert context.lanes.statistics() == {"lanes": 1, "laned": 1}
    feed.close()
    assert context.lanes.statistics() == {"lanes": 0, "laned": 0}
