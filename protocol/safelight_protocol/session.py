"""The server end of one Phoenix socket, without I/O.

Owns which topics are joined, by which join, and what each incoming frame means. The
driver moves data in and out and carries out the effects, those of one socket one
after another. Knows no task, no owner and no clock: `now` is seconds of any clock
that never goes back. The contract is the dispatch table of docs/wire.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from . import binary, topics
from .bounds import MAX_NAME
from .codes import CODES
from .effects import (
    Command,
    Data,
    Detail,
    Effect,
    Hangup,
    Join,
    Leave,
    Problem,
    Send,
    Statistics,
    invalid,
    too_many,
    unmatched,
)
from .frames import BinaryFrame, Frame, FrameError, Ref, Serializer, object_of, payload_of
from .session_table import TABLE, Do, Standing, kind_of

__all__ = [
    "Command",
    "Data",
    "Detail",
    "Effect",
    "Hangup",
    "Join",
    "Leave",
    "Problem",
    "Send",
    "Session",
    "Statistics",
]

EMPTY = b"{}"


class _Channel(msgspec.Struct):
    """A topic of this socket. `id` is what its pushes and its end carry as join_ref.

    `owed` are the ids of joins that this one replaced: the phx_close of each follows
    this one's reply.
    """

    topic: str
    id: Ref
    generation: int
    owed: tuple[Ref, ...] = ()
    joined: bool = False


class _Counters(msgspec.Struct):
    received: int = 0
    stale: int = 0
    refused: int = 0
    dropped: int = 0


class Session:
    """One socket. A method that returns data returns what to write, in that order.

    What goes to many is encoded once, outside, as a broadcast: send it only to a socket
    whose join `is_current` and was accepted.
    """

    __slots__ = (
        "_channels",
        "_count",
        "_generation",
        "_has_route",
        "_heard",
        "_idle_seconds",
        "_max_channels",
        "_max_frame_bytes",
        "_over",
        "_serializer",
    )

    def __init__(
        self,
        serializer: Serializer,
        *,
        now: float,
        max_channels: int = 100,
        max_frame_bytes: int = 1024 * 1024,
        idle_seconds: float = 90.0,
        has_route: Callable[[str], object] = topics.parse,
    ) -> None:
        """`has_route` returns None for a topic that nobody can join.

        90 s of silence: clients beat every 25 to 30 s, but browsers stretch the timers
        of a hidden page to about a minute (Phoenix itself waits 60 s). 100 channels is
        Phoenix's own limit.
        """
        self._serializer = serializer
        self._max_channels = max_channels
        self._max_frame_bytes = max_frame_bytes
        self._idle_seconds = idle_seconds
        self._has_route = has_route
        self._heard = now
        self._channels: dict[str, _Channel] = {}
        self._generation = 0
        self._over = False
        self._count = _Counters()

    @property
    def deadline(self) -> float:
        """When to call `tick`, unless something is received before."""
        return self._heard + self._idle_seconds

    def tick(self, now: float) -> list[Effect]:
        """Hang up if the deadline has passed."""
        if self._over or now < self.deadline:
            return []
        return self._hang_up("idle", f"nothing received for {self._idle_seconds:g} s")

    def receive(self, data: Data, now: float) -> list[Effect]:
        """What one message asks for. Never raises, whatever a client sends."""
        if self._over:
            return []
        self._heard = now
        self._count.received += 1
        try:
            frame = self._decode(data)
        except FrameError as error:
            return self._hang_up(error.code, str(error))
        return self._dispatch(frame)

    def is_current(self, effect: Join | Command) -> bool:
        """Whether the join is still the topic's own; for a command, also accepted."""
        channel = self._channels.get(effect.topic)
        if channel is None or channel.generation != effect.generation:
            return False
        return channel.joined or isinstance(effect, Join)

    def accept(self, join: Join, response: bytes) -> list[Data]:
        """The ok reply, then phx_close for what was replaced. [] unless it was pending."""
        channel = self._pending(join)
        if channel is None:
            return []
        channel.joined = True
        owed, channel.owed = channel.owed, ()
        return [self._answer(join, "ok", response), *self._closes(join.topic, owed)]

    def refuse(self, join: Join, response: bytes) -> list[Data]:
        """The error reply; the topic is free again. [] unless the join was pending."""
        channel = self._pending(join)
        if channel is None:
            return []
        del self._channels[join.topic]
        return [self._answer(join, "error", response), *self._closes(join.topic, channel.owed)]

    def reply(self, command: Command, status: str, response: bytes) -> list[Data]:
        """The answer to a command; with a null ref to one that had none. [] when stale."""
        if not self.is_current(command):
            self._count.dropped += 1
            return []
        return [self._answer(command, status, response)]

    def reply_binary(self, command: Command, status: str, payload: bytes) -> list[Data]:
        """The answer to a binary command, in bytes. For V2 only. [] when stale."""
        if not self.is_current(command):
            self._count.dropped += 1
            return []
        to = command
        return [binary.encode_reply(to.join_ref, to.ref, to.topic, status, payload)]

    def push(self, topic: str, event: str, payload: bytes) -> list[Data]:
        """An event for this client alone. [] unless the topic's join was accepted."""
        channel = self._channels.get(topic)
        if channel is None or not channel.joined:
            self._count.dropped += 1
            return []
        return [self._serializer.encode_push(channel.id, topic, event, payload)]

    def close(self, topic: str) -> list[Data]:
        """End the channel for good: no client comes back to it by itself."""
        return self._end(topic, "phx_close", EMPTY)

    def crash(self, topic: str) -> list[Data]:
        """End the channel in such a way that clients join it again after a second."""
        return self._end(topic, "phx_error", b'{"reason":"channel_crash"}')

    def statistics(self) -> Statistics:
        """The counters as they stand."""
        counts = msgspec.structs.asdict(self._count)
        return Statistics(channels=len(self._channels), **counts)

    def _decode(self, data: Data) -> Frame | BinaryFrame:
        size = len(data) if isinstance(data, bytes) else _bytes_of(data)
        if size > self._max_frame_bytes:
            expected = f"at most {self._max_frame_bytes} bytes"
            raise FrameError("too_large", "frame", found=f"{size} bytes", expected=expected)
        if isinstance(data, bytes):
            return self._serializer.decode_binary(data)
        frame = self._serializer.decode_text(data)
        _refuse_long_names(frame)
        return frame

    def _dispatch(self, frame: Frame | BinaryFrame) -> list[Effect]:
        match TABLE[kind_of(frame.topic, frame.event), self._standing(frame)]:
            case Do.BEAT:
                return [self._reply(frame, None, "ok", EMPTY)]
            case Do.JOIN:
                return self._join(frame)
            case Do.TOO_MANY:
                return [self._error(frame, frame.join_ref, too_many(self._max_channels))]
            case Do.LEAVE:
                return self._leave(frame)
            case Do.ABSENT:
                return [self._reply(frame, frame.join_ref, "ok", EMPTY)]
            case Do.CRASH:
                return [_over(self._channels[frame.topic]), *map(Send, self.crash(frame.topic))]
            case Do.COMMAND:
                return [self._command(frame)]
            case Do.UNMATCHED:
                known = self._has_route(frame.topic) is not None
                return [self._error(frame, None, unmatched(frame.topic, known=known))]
            case Do.IGNORE:  # pragma: no branch - mypy proves that none is left
                self._count.stale += 1
                return []

    def _standing(self, frame: Frame | BinaryFrame) -> Standing:
        channel = self._channels.get(frame.topic)
        if channel is not None:
            current = frame.join_ref is None or frame.join_ref == channel.id
            return Standing.CURRENT if current else Standing.STALE
        if self._has_route(frame.topic) is None:
            return Standing.NOWHERE
        return Standing.FULL if len(self._channels) >= self._max_channels else Standing.FREE

    def _join(self, frame: Frame | BinaryFrame) -> list[Effect]:
        replaced = self._channels.pop(frame.topic, None)
        owed = (*replaced.owed, replaced.id) if replaced else ()
        effects: list[Effect] = [_over(replaced)] if replaced else []
        try:
            payload = object_of(frame)
        except FrameError as error:
            closes = map(Send, self._closes(frame.topic, owed))
            return [*effects, self._error(frame, frame.join_ref, invalid(error)), *closes]
        self._generation += 1
        # A join without a join_ref is known by its ref: V1 clients send no other.
        id = frame.ref if frame.join_ref is None else frame.join_ref
        channel = _Channel(frame.topic, id, self._generation, owed)
        self._channels[frame.topic] = channel
        join = Join(frame.topic, frame.join_ref, frame.ref, payload, channel.generation)
        return [*effects, join]

    def _leave(self, frame: Frame | BinaryFrame) -> list[Effect]:
        channel = self._channels.pop(frame.topic)
        closes = self._closes(frame.topic, [*channel.owed, channel.id])
        reply = self._reply(frame, channel.id, "ok", EMPTY)
        return [_over(channel), reply, *map(Send, closes)]

    def _command(self, frame: Frame | BinaryFrame) -> Effect:
        channel = self._channels[frame.topic]
        try:
            payload = payload_of(frame)
        except FrameError as error:
            return self._error(frame, channel.id, invalid(error))
        return Command(
            topic=frame.topic,
            join_ref=channel.id,
            ref=frame.ref,
            event=frame.event,
            payload=payload,
            generation=channel.generation,
        )

    def _error(self, frame: Frame | BinaryFrame, join_ref: Ref, problem: Problem) -> Send:
        self._count.refused += 1
        return self._reply(frame, join_ref, "error", msgspec.json.encode(problem))

    def _reply(
        self, frame: Frame | BinaryFrame, join_ref: Ref, status: str, response: bytes
    ) -> Send:
        encode = self._serializer.encode_reply
        return Send(encode(join_ref, frame.ref, frame.topic, status, response))

    def _answer(self, to: Join | Command, status: str, response: bytes) -> Data:
        return self._serializer.encode_reply(to.join_ref, to.ref, to.topic, status, response)

    def _pending(self, join: Join) -> _Channel | None:
        channel = self._channels.get(join.topic)
        if channel and channel.generation == join.generation and not channel.joined:
            return channel
        self._count.dropped += 1
        return None

    def _end(self, topic: str, event: str, payload: bytes) -> list[Data]:
        channel = self._channels.pop(topic, None)
        if channel is None:
            return []
        end = self._serializer.encode(channel.id, channel.id, topic, event, payload)
        return [*self._closes(topic, channel.owed), end]

    def _closes(self, topic: str, ids: Iterable[Ref]) -> list[Data]:
        return [self._serializer.encode(id, id, topic, "phx_close", EMPTY) for id in ids]

    def _hang_up(self, code: str, reason: str) -> list[Effect]:
        self._over = True
        self._channels.clear()
        return [Hangup(CODES[code].close or 1011, reason)]


def _over(channel: _Channel) -> Leave:
    return Leave(channel.topic, channel.id, channel.generation)


def _refuse_long_names(frame: Frame) -> None:
    """They are echoed, and an echo must fit into a frame whatever it answers."""
    names = (frame.join_ref, frame.ref, frame.topic, frame.event)
    for field, name in zip(("join_ref", "ref", "topic", "event"), names, strict=True):
        size = len(str(name).encode("utf-8", "surrogatepass"))
        if size > MAX_NAME:
            expected = f"at most {MAX_NAME} bytes"
            raise FrameError("too_large", field, found=f"{size} bytes", expected=expected)


def _bytes_of(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))
