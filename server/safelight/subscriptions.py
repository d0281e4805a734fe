"""Who wants to know when something changes. A wake carries no data.

A follower registers its wake first and reads from its cursor second; so nothing
can fall between, there is nothing to merge, and a slow follower costs a cursor.
Previews are the one thing that is handed over: they have no seq, the latest wins,
and a follower that has not taken the last one loses it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from safelight_protocol import binary

from .broadcast import Broadcast

Wake = Callable[[], None]


class Preview:
    """A picture of progress. `header` is what is told of it beside the bytes; `token`
    is the random capability by which its task's latest preview is had over HTTP."""

    __slots__ = ("_frames", "data", "header", "token")

    def __init__(self, header: PreviewHeader, data: bytes, token: str) -> None:
        self.header = header
        self.data = data
        self.token = token
        self._frames: dict[str, Broadcast] = {}

    def frame(self, topic: str) -> Broadcast:
        """The preview as a binary broadcast on a topic; built once for all followers.

        Payload: length of the header (u32, big-endian), the header as JSON, the bytes.
        """
        made = self._frames.get(topic)
        if made is None:
            header = msgspec.json.encode(self.header)
            payload = len(header).to_bytes(4, "big") + header + self.data
            made = Broadcast.of_binary(binary.encode_broadcast(topic, "preview", payload))
            self._frames[topic] = made
        return made


class PreviewHeader(msgspec.Struct, frozen=True):
    """Which picture it is; `step` is 0 where the provider counts none."""

    task_id: str
    attempt: int
    step: int
    media_type: str


MAX_PREVIEW = 512 * 1024
"""iOS closes a socket at 1 MiB messages; half of that leaves room for any header."""


class Follower(Protocol):
    """Who is to be woken."""

    def wake(self) -> None:
        """Look again. Must not block, raise, or end what follows the same topic."""


class Subscription:
    """One follower of one topic that is woken by a call; `close` ends it and may be called
    twice."""

    __slots__ = ("_subscriptions", "_topic", "wake")

    def __init__(self, subscriptions: Subscriptions, topic: str, wake: Wake) -> None:
        self._subscriptions = subscriptions
        self._topic = topic
        self.wake = wake

    def close(self) -> None:
        """Wake no more."""
        self._subscriptions.leave(self._topic, self)


class Subscriptions:
    """Followers by topic. All calls are made on the event loop and return at once."""

    def __init__(self) -> None:
        # Nearly every topic has one follower, which stands there by itself; more are in the
        # order of their coming.
        self._followers: dict[str, Follower | dict[Follower, None]] = {}
        self._previews: dict[str, Preview] = {}
        self._by_token: dict[str, str] = {}

    def follow(self, topic: str, wake: Wake) -> Subscription:
        """Call `wake` at each change of the topic until the subscription is closed; for it
        holds what is said of a follower's."""
        subscription = Subscription(self, topic, wake)
        self.enter(topic, subscription)
        return subscription

    def enter(self, topic: str, follower: Follower) -> None:
        """Wake this one at each change of the topic until it leaves."""
        there = self._followers.get(topic)
        if there is None:
            self._followers[topic] = follower
        elif isinstance(there, dict):
            there[follower] = None
        else:
            self._followers[topic] = {there: None, follower: None}

    def leave(self, topic: str, follower: Follower) -> None:
        """Wake it no more; nothing happens if it does not follow the topic."""
        there = self._followers.get(topic)
        if isinstance(there, dict):
            there.pop(follower, None)
            if len(there) == 1:
                (self._followers[topic],) = there
        elif there is follower:
            del self._followers[topic]

    def wake(self, topic: str) -> None:
        """Tell the followers of a topic to look again."""
        there = self._followers.get(topic)
        if there is None:
            return
        if isinstance(there, dict):
            for follower in there:
                follower.wake()
        else:
            there.wake()

    def show(self, uid: str, preview: Preview) -> None:
        """Replace a task's preview; larger ones than MAX_PREVIEW are dropped."""
        if len(preview.data) <= MAX_PREVIEW:
            self._previews[uid] = preview
            self._by_token[preview.token] = uid
            self.wake(previews_of(uid))

    def preview(self, uid: str) -> Preview | None:
        """The latest preview of a task that has not ended."""
        return self._previews.get(uid)

    def preview_by_token(self, token: str) -> Preview | None:
        """The latest preview of the task that the token belongs to."""
        return self._previews.get(self._by_token.get(token, ""))

    def clear(self, uid: str) -> None:
        """Forget a task's preview: its attempt is over."""
        preview = self._previews.pop(uid, None)
        if preview is not None:
            self._by_token.pop(preview.token, None)

    def statistics(self) -> dict[str, int]:
        """How many followers wait, and for how many topics."""
        each = self._followers.values()
        followers = sum(len(there) if isinstance(there, dict) else 1 for there in each)
        return {"topics": len(self._followers), "followers": followers}


def previews_of(uid: str) -> str:
    """The topic of a task's previews."""
    return f"previews:{uid}"


def tasks_of(owner: str) -> str:
    """The topic of all of an owner's tasks."""
    return f"tasks:{owner}"
