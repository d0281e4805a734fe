"""The client end of one Phoenix socket (V2), without I/O.

Owns refs, the topics that are wanted, and when to try again. The driver moves data,
calls `tick` at `deadline`, and carries out what comes back, in order. Wanted topics
are joined anew after every loss, each task from its own cursor. Knows no clock and no
randomness: `now` is seconds of a clock that never goes back. See docs/wire.md.
"""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum, auto
from itertools import count
from math import inf

import msgspec

from . import binary, topics
from .backoff import connect_delay, join_delay
from .cursor import Reader, Verdict
from .effects import Data, Hangup, Send
from .frames import V2, BinaryFrame, Frame, FrameError, object_of
from .happenings import (
    Answered,
    Closed,
    Connect,
    Crashed,
    Disconnected,
    Happening,
    Hole,
    Joined,
    NotJoined,
    Reason,
    Told,
    Unanswered,
)
from .replies import Payload, may_retry, read_reply

Output = Send | Hangup | Happening

JoinPayload = Callable[[str | None], bytes]
"""Makes the JSON object of a join from the cursor, None where there is none. It is
called for each join, so that a token or a cursor in it is never an old one."""

HEARTBEAT_SECONDS = 30.0
ANSWER_SECONDS = 10.0
TASK_EVENT = "progress"
"""The one channel event under which every event of a task travels."""


class NoChannel(Exception):
    """A push on a topic that was not joined by `join`, or was left or closed since."""


class _Phase(Enum):
    WAITING = auto()
    JOINING = auto()
    JOINED = auto()


class _Channel(msgspec.Struct):
    """A wanted topic. `ref` is that of its last join, `at` when the next is due, or when
    the one on its way is given up."""

    topic: str
    payload: JoinPayload
    reader: Reader | None
    phase: _Phase = _Phase.WAITING
    join_ref: str | None = None
    ref: str | None = None
    at: float = inf
    failures: int = 0
    again: bool = False


class _Push(msgspec.Struct):
    topic: str
    event: str
    payload: bytes
    deadline: float
    sent: bool = False


class Client:
    """One socket to one server, through any number of connections. A join or push that is
    not answered within `answer_seconds` has failed; a heartbeat is sent each
    `heartbeat_seconds`, and the connection is dead when the one before was not answered."""

    def __init__(
        self,
        *,
        first_ref: int = 1,
        first_join_ref: int = 1,
        heartbeat_seconds: float = HEARTBEAT_SECONDS,
        answer_seconds: float = ANSWER_SECONDS,
    ) -> None:
        self._heartbeat_seconds = heartbeat_seconds
        self._answer_seconds = answer_seconds
        self._serializer = V2()
        self._refs = map(str, count(first_ref))
        self._join_refs = map(str, count(first_join_ref))
        self._channels: dict[str, _Channel] = {}
        self._pushes: dict[str, _Push] = {}
        self._up = False
        self._failures = 0
        self._connect_at = inf
        self._beat_at = inf
        self._beat: str | None = None

    @property
    def deadline(self) -> float:
        """When to call `tick`; infinite if nothing is waited for."""
        own = (self._connect_at, self._beat_at)
        channels = (channel.at for channel in self._channels.values())
        pushes = (push.deadline for push in self._pushes.values())
        return min(*own, *channels, *pushes)

    def cursor(self, topic: str) -> str | None:
        """Where the client stands in the log of a task's topic."""
        channel = self._channels.get(topic)
        place = channel.reader.cursor if channel and channel.reader else None
        return None if place is None else str(place)

    def connected(self, now: float) -> list[Output]:
        """A connection is open: join whatever is wanted."""
        self._up, self._connect_at = True, inf
        self._beat, self._beat_at = None, now + self._heartbeat_seconds
        return [send for channel in self._channels.values() for send in self._join(channel, now)]

    def disconnected(self, now: float, code: int | None = None, *, jitter: float) -> list[Output]:
        """The connection is lost, or did not open. `jitter` is a random number, 0 to 1.

        Pushes in flight end unanswered; those that wait for a join go on waiting. The
        delays start anew once something was received on a connection.
        """
        self._stop()
        self._failures += 1
        self._connect_at = now + connect_delay(self._failures, jitter)
        flown = self._abandon(lambda push: push.sent, "disconnected")
        return [Disconnected(code, self._connect_at), *flown]

    def join(
        self, topic: str, payload: JoinPayload, now: float, *, after: str | None = None
    ) -> list[Output]:
        """Want a topic from now on. For one that is wanted already: join it anew.

        `after` is a cursor kept from an earlier life of the program.
        """
        reader = Reader(after) if isinstance(topics.parse(topic), topics.TaskTopic) else None
        old = self._channels.get(topic)
        if old and after is None:
            reader = old.reader
        channel = _Channel(topic, payload, reader, again=old is not None and old.again)
        self._channels[topic] = channel
        return self._join(channel, now) if self._up else []

    def leave(self, topic: str) -> list[Output]:
        """Want a topic no longer. Nothing more is told of it, but of its pushes."""
        channel = self._channels.pop(topic, None)
        if channel is None:
            return []
        ended = self._abandon(lambda push: push.topic == topic, "left")
        return [*self._send_leave(channel), *ended]

    def push(self, topic: str, event: str, payload: bytes, now: float) -> tuple[str, list[Output]]:
        """Send a JSON object on a wanted topic, once it is joined. Raises NoChannel.

        The ref that comes back is that of the `Answered` or the `Unanswered` which
        ends every push, within 10 s.
        """
        if topic not in self._channels:
            raise NoChannel(topic)
        ref = next(self._refs)
        self._pushes[ref] = _Push(topic, event, payload, now + self._answer_seconds)
        return ref, self._flush(self._channels[topic])

    def tick(self, now: float) -> list[Output]:
        """Whatever is due. Harmless when nothing is."""
        outputs = self._abandon(lambda push: push.deadline <= now, "timeout")
        if self._connect_at <= now:
            self._connect_at = inf
            outputs.append(Connect())
        if self._beat_at <= now:
            outputs += self._heartbeat(now)
        for channel in self._channels.values():
            if channel.at <= now:
                outputs += self._join_due(channel, now)
        return outputs

    def receive(self, data: Data, now: float) -> list[Output]:
        """What one message of the server means. A broken one ends the connection."""
        if not self._up:
            return []
        try:
            frame = self._decode(data)
            self._failures = 0
            if frame.event == "phx_reply":
                return self._replied(frame, now)
            return self._told(frame, now)
        except (FrameError, msgspec.DecodeError) as error:
            return self._hang_up(1002, str(error)[:120])

    def _hang_up(self, code: int, reason: str) -> list[Output]:
        self._stop()
        return [Hangup(code, reason)]

    def _stop(self) -> None:
        """Send nothing, and take nothing, until `connected`."""
        self._up, self._beat, self._beat_at = False, None, inf
        for channel in self._channels.values():
            channel.phase, channel.join_ref, channel.at = _Phase.WAITING, None, inf

    def _decode(self, data: Data) -> Frame | BinaryFrame:
        if isinstance(data, bytes):
            return binary.decode_server(data)
        frame = self._serializer.decode_text(data)
        object_of(frame)
        return frame

    def _replied(self, frame: Frame | BinaryFrame, now: float) -> list[Output]:
        status, response = read_reply(frame)
        if frame.topic == topics.PHOENIX:
            self._beat = None if frame.ref == self._beat else self._beat
            return []
        channel = self._channels.get(frame.topic)
        if channel and channel.phase is _Phase.JOINING and frame.ref == channel.ref:
            return self._join_replied(channel, status, response, now)
        push = self._pushes.pop(str(frame.ref), None)
        return [] if push is None else [Answered(str(frame.ref), status, response)]

    def _join_replied(
        self, channel: _Channel, status: str, response: Payload, now: float
    ) -> list[Output]:
        if status == "ok":
            return self._joined(channel, response)
        if status != "error":
            return []
        if may_retry(response):
            crashed = self._crash(channel, now)
            return [NotJoined(channel.topic, response, crashed.retry_at)]
        return [NotJoined(channel.topic, response, None), *self._forget(channel)]

    def _joined(self, channel: _Channel, response: Payload) -> list[Output]:
        channel.phase, channel.at, channel.failures = _Phase.JOINED, inf, 0
        if channel.reader and isinstance(response, msgspec.Raw):
            channel.reader.joined(response)
        joined = Joined(channel.topic, response, channel.again)
        channel.again = True
        return [joined, *self._flush(channel)]

    def _told(self, frame: Frame | BinaryFrame, now: float) -> list[Output]:
        channel = self._channels.get(frame.topic)
        if channel is None or frame.join_ref not in (None, channel.join_ref):
            return []
        if frame.event == "phx_close":
            return [Closed(channel.topic), *self._forget(channel)]
        if frame.event == "phx_error":
            flown = self._abandon(lambda p: p.sent and p.topic == channel.topic, "crashed")
            return [self._crash(channel, now), *flown]
        if channel.phase is not _Phase.JOINED:
            # A follower of this topic's earlier join may still be writing broadcasts.
            return []
        told = Told(frame.topic, frame.event, frame.payload)
        if channel.reader is None or frame.event != TASK_EVENT or isinstance(frame, BinaryFrame):
            return [told]
        match channel.reader.judge(frame.payload):
            case Verdict.NEW:
                return [told]
            case Verdict.SEEN:
                return []
            case Verdict.HOLE:  # pragma: no branch - mypy proves that none is left
                hole = Hole(channel.topic, str(channel.reader.cursor))
                return [hole, *self._join(channel, now)]

    def _forget(self, channel: _Channel) -> list[Output]:
        del self._channels[channel.topic]
        return self._abandon(lambda push: push.topic == channel.topic, "closed")

    def _join(self, channel: _Channel, now: float) -> list[Output]:
        place = self.cursor(channel.topic)
        channel.phase, channel.at = _Phase.JOINING, now + self._answer_seconds
        channel.join_ref, channel.ref = next(self._join_refs), next(self._refs)
        return [self._send(channel, channel.ref, "phx_join", channel.payload(place))]

    def _join_due(self, channel: _Channel, now: float) -> list[Output]:
        if channel.phase is _Phase.WAITING:
            return self._join(channel, now)
        return [*self._send_leave(channel), self._crash(channel, now)]

    def _crash(self, channel: _Channel, now: float) -> Crashed:
        channel.failures += 1
        channel.phase, channel.join_ref = _Phase.WAITING, None
        channel.at = now + join_delay(channel.failures)
        return Crashed(channel.topic, channel.at)

    def _send_leave(self, channel: _Channel) -> list[Output]:
        if channel.join_ref is None:
            return []
        return [self._send(channel, next(self._refs), "phx_leave", b"{}")]

    def _send(self, channel: _Channel, ref: str, event: str, payload: bytes) -> Send:
        encode = self._serializer.encode
        return Send(encode(channel.join_ref, ref, channel.topic, event, payload))

    def _flush(self, channel: _Channel) -> list[Output]:
        if channel.phase is not _Phase.JOINED:
            return []
        outputs: list[Output] = []
        for ref, push in self._pushes.items():
            if push.topic == channel.topic and not push.sent:
                push.sent = True
                outputs.append(self._send(channel, ref, push.event, push.payload))
        return outputs

    def _abandon(self, over: Callable[[_Push], bool], reason: Reason) -> list[Output]:
        refs = [ref for ref, push in self._pushes.items() if over(push)]
        for ref in refs:
            del self._pushes[ref]
        return [Unanswered(ref, reason) for ref in refs]

    def _heartbeat(self, now: float) -> list[Output]:
        if self._beat is not None:
            return self._hang_up(1001, "a heartbeat went unanswered")
        self._beat, self._beat_at = next(self._refs), now + self._heartbeat_seconds
        return [Send(self._serializer.encode(None, self._beat, topics.PHOENIX, "heartbeat", b"{}"))]
