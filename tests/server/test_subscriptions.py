"""Wakes and previews: nobody is forgotten, nothing is kept for ever."""

from __future__ import annotations

import msgspec
import pytest

from safelight.subscriptions import (
    MAX_PREVIEW,
    Preview,
    PreviewHeader,
    Subscriptions,
    previews_of,
    tasks_of,
)
from safelight_protocol import binary


class Follower:
    """Counts its wakes."""

    def __init__(self) -> None:
        self.woken = 0

    def wake(self) -> None:
        self.woken += 1


def preview(step: int = 1, data: bytes = b"jpeg", token: str = "token") -> Preview:
    """A picture of task x."""
    return Preview(PreviewHeader("x", 2, step, "image/jpeg"), data, token)


def test_followers_are_woken() -> None:
    """All of a topic and nobody else; a topic without followers wakes nobody."""
    subscriptions, one, two, other = Subscriptions(), Follower(), Follower(), Follower()
    subscriptions.follow("u1", one.wake)
    subscriptions.follow("u1", two.wake)
    subscriptions.follow("u2", other.wake)
    subscriptions.wake("u1")
    subscriptions.wake("u3")
    assert (one.woken, two.woken, other.woken) == (1, 1, 0)
    assert subscriptions.statistics() == {"topics": 2, "followers": 3}


def test_a_closed_subscription_is_silent() -> None:
    """From then on; closing it again does nothing, and nothing of it is kept."""
    subscriptions, one, two = Subscriptions(), Follower(), Follower()
    first, _ = subscriptions.follow("u1", one.wake), subscriptions.follow("u1", two.wake)
    first.close()
    first.close()
    subscriptions.wake("u1")
    assert (one.woken, two.woken) == (0, 1)
    assert subscriptions.statistics() == {"topics": 1, "followers": 1}


def test_the_last_follower_takes_the_topic_along() -> None:
    """A server that has seen a million topics keeps none of them."""
    subscriptions = Subscriptions()
    for n in range(100):
        subscriptions.follow(f"u{n}", Follower().wake).close()
    assert subscriptions.statistics() == {"topics": 0, "followers": 0}


def test_one_who_follows_twice_can_close_once() -> None:
    """Two joins of one socket share its wake: the end of one, told twice, leaves the other."""
    subscriptions, socket = Subscriptions(), Follower()
    old = subscriptions.follow("u1", socket.wake)
    new = subscriptions.follow("u1", socket.wake)
    old.close()
    old.close()
    subscriptions.wake("u1")
    assert socket.woken == 1
    new.close()
    subscriptions.wake("u1")
    assert socket.woken == 1


def test_a_late_close_does_not_hit_the_next() -> None:
    """A subscription that ended before the topic was followed anew is not the new one."""
    subscriptions, socket = Subscriptions(), Follower()
    old = subscriptions.follow("u1", socket.wake)
    old.close()
    subscriptions.follow("u1", socket.wake)
    old.close()
    subscriptions.wake("u1")
    assert socket.woken == 1


class Empty(Follower):
    """One that counts as nothing, as a lane without members does."""

    def __len__(self) -> int:
        return 0


@pytest.mark.parametrize("count", [1, 2, 3])
def test_whoever_enters_is_woken_until_it_leaves(count: int) -> None:
    """Alone or among others; who leaves twice, or was never there, takes nobody along."""
    subscriptions, stranger = Subscriptions(), Empty()
    followers = [Empty() for _ in range(count)]
    for follower in followers:
        subscriptions.enter("u1", follower)
    for gone in range(count):
        subscriptions.wake("u1")
        subscriptions.leave("u1", followers[gone])
        subscriptions.leave("u1", followers[gone])
        subscriptions.leave("u1", stranger)
        left = count - gone - 1
        assert subscriptions.statistics() == {"topics": min(left, 1), "followers": left}
    subscriptions.wake("u1")
    assert [follower.woken for follower in followers] == list(range(1, count + 1))
    assert stranger.woken == 0


def test_topics_of_tasks_previews_and_owners_differ() -> None:
    """A preview wakes those who asked for previews, and no others."""
    subscriptions, events, pictures, gallery = Subscriptions(), Follower(), Follower(), Follower()
    subscriptions.follow("u1", events.wake)
    subscriptions.follow(previews_of("u1"), pictures.wake)
    subscriptions.follow(tasks_of("u1"), gallery.wake)
    subscriptions.show("u1", preview())
    assert (events.woken, pictures.woken, gallery.woken) == (0, 1, 0)


def test_the_latest_preview_wins() -> None:
    """Who has not taken the last one never sees it."""
    subscriptions = Subscriptions()
    latest = preview(2)
    subscriptions.show("u1", preview(1))
    subscriptions.show("u1", latest)
    assert subscriptions.preview("u1") is latest
    assert subscriptions.preview_by_token("token") is latest
    assert subscriptions.preview("u2") is subscriptions.preview_by_token("guess") is None


def test_an_attempt_takes_its_preview_along() -> None:
    """Neither the task nor its token leads anywhere then, nor the token to a later preview."""
    subscriptions = Subscriptions()
    subscriptions.show("u1", preview())
    subscriptions.clear("u1")
    subscriptions.clear("u1")
    assert subscriptions.preview("u1") is subscriptions.preview_by_token("token") is None
    subscriptions.show("u1", preview(token="another"))
    assert subscriptions.preview_by_token("token") is None


@pytest.mark.parametrize(("size", "shown"), [(MAX_PREVIEW, True), (MAX_PREVIEW + 1, False)])
def test_a_preview_has_a_bound(size: int, shown: bool) -> None:
    """A larger one is dropped without a word, and the one before it stays."""
    subscriptions, follower = Subscriptions(), Follower()
    subscriptions.show("u1", preview(1))
    subscriptions.follow(previews_of("u1"), follower.wake)
    subscriptions.show("u1", preview(2, b"x" * size))
    latest = subscriptions.preview("u1")
    assert latest is not None and latest.header.step == (2 if shown else 1)
    assert follower.woken == shown


def test_a_preview_is_one_binary_broadcast_for_all() -> None:
    """Length of the header, the header, the picture; made once for each topic."""
    shown = preview(3, b"\x00\xffjpeg")
    message = shown.frame("task:x").message
    assert isinstance(message, bytes)
    frame = binary.decode_server(message)
    assert (frame.kind, frame.topic, frame.event) == ("broadcast", "task:x", "preview")
    length = int.from_bytes(frame.payload[:4], "big")
    header = {"task_id": "x", "attempt": 2, "step": 3, "media_type": "image/jpeg"}
    assert msgspec.json.decode(frame.payload[4 : 4 + length]) == header
    assert frame.payload[4 + length :] == b"\x00\xffjpeg"
    assert shown.frame("task:x") is shown.frame("task:x")
    assert shown.frame("task:y") is not shown.frame("task:x")
