"""One connected client, whatever carries its frames: what comes in, what goes out, its end.

Feeds a `Session` and carries out its effects one after another, as Phoenix does: a join
holds back what was sent after it. Frames of a topic are pulled from its channel while the
client takes them; so a slow client costs its cursor. Works by being called: an idle client
has no task here, no queue and no timer of its own. What the effects mean for tasks is in
`conversation.py`; what carries the frames is a `Carrier`.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial

from safelight_protocol.codes import Refused, code
from safelight_protocol.effects import Effect, Hangup, Leave, Send
from safelight_protocol.frames import Serializer
from safelight_protocol.session import Session

from ..broadcast import Frames
from ..stray import spared
from ..telemetry import log
from .carrier import Carrier
from .context import Context
from .conversation import Conversation
from .patience import Patience
from .voice import Channel

ROOM = 64 * 1024
"""Bytes of one topic's frames that are handed over at a time; what one frame adds to it
is the most that waits for a client that takes nothing."""

MAX_UNTAKEN = 1024 * 1024
"""Bytes of answers that may wait for a client before it is not read any further; those to
one frame may add to it."""


class Connection:
    """One client from its acceptance to its end. Its carrier calls `begin` first."""

    __slots__ = (
        "_carrier",
        "_channels",
        "_context",
        "_conversation",
        "_deaf",
        "_dirty",
        "_end",
        "_guest",
        "_inbox",
        "_over",
        "_patience",
        "_paused",
        "_pulling",
        "_roomy",
        "_session",
        "_working",
        "slot",
    )

    def __init__(
        self, carrier: Carrier, context: Context, owner: str, serializer: Serializer
    ) -> None:
        self.slot: int | None = None
        self._carrier = carrier
        self._context = context
        self._session = Session(
            serializer,
            now=asyncio.get_running_loop().time(),
            max_frame_bytes=context.settings.max_frame_bytes,
            idle_seconds=carrier.idle_seconds,
        )
        self._conversation = Conversation(context, owner, self._session, serializer, self)
        self._channels: dict[str, Channel] = {}
        self._dirty: dict[str, Channel] | None = None
        self._inbox: deque[str | bytes] | None = None
        self._patience: Patience | None = None
        self._roomy: asyncio.Future[None] | None = None
        self._end: Hangup | None = None
        self._working = self._pulling = self._paused = self._deaf = False
        self._over = False
        self._guest: int | None = -1

    def begin(self) -> None:
        """Be there: seen out with the others, looked after while silent."""
        log("socket.opened")
        self._guest = self._context.guests.come(self._restart)
        if not self._over:
            self._context.wheel.watch(self, self._session.deadline)

    # -- what a conversation may do to its connection -------------------------

    @property
    def takes_binary(self) -> bool:
        """Whether binary frames reach this client."""
        return self._carrier.takes_binary

    @property
    def is_taking(self) -> bool:
        """Whether the client takes what is written, as far as is known."""
        return not (self._paused or self._over)

    @property
    def wire(self) -> Callable[[bytes], None] | None:
        """Writes frames as they travel, for who writes the same to many."""
        return self._carrier.wire

    def send(self, frames: Frames) -> None:
        """Write these after what is already waiting."""
        if frames and not self._over:
            waiting = self._patience
            added = self._carrier.write(frames)
            if waiting is not None:
                waiting.wrote(added)

    def fail(self, defect: Exception) -> None:
        """Hang up: what was to be written could not be."""
        self._defect(defect)

    def open(self, topic: str, channel: Channel) -> None:
        """Begin to pull from a channel; all that was sent before goes out first."""
        if self._over:
            return channel.close()
        self._channels[topic] = channel
        self.wake(topic)

    def wake(self, topic: str) -> None:
        """There is something to pull from the topic's channel."""
        channel = self._channels.get(topic)
        if channel is not None:
            self._dirty = {} if self._dirty is None else self._dirty
            self._dirty[topic] = channel
            self._pull_soon()

    def shut(self, topic: str) -> None:
        """Write nothing more of a topic from here on."""
        channel = self._channels.pop(topic, None)
        if channel is not None:
            channel.close()
            if self._dirty is not None:
                self._dirty.pop(topic, None)

    def channel(self, topic: str) -> Channel | None:
        """What is pulled from for a topic, once its join was accepted."""
        return self._channels.get(topic)

    # -- what its carrier tells it --------------------------------------------

    def received(self, message: str | bytes) -> None:
        """A message of the client: taken in at once, or behind those that still wait."""
        if self._over:
            return
        if self._working:
            self._inbox = deque() if self._inbox is None else self._inbox
            self._inbox.append(message)
        else:
            self._take(self._heard(message))
        self._read_or_not()

    def lost(self) -> None:
        """Nobody is there any more."""
        if self._guest is not None:
            self._hush()
            self._context.guests.leave(self._guest)
            self._context.wheel.forget(self)
            log("socket.closed", code=self._end.code if self._end else None)
            self._guest = None

    def pause_writing(self) -> None:
        """The client takes less than we write: from here on its time runs."""
        if self._paused or self._over:
            return
        self._paused = True
        seconds = self._context.settings.slow_reader_seconds
        self._patience = Patience(seconds, self._untaken, self._too_slow)
        for channel in self._channels.values():
            channel.fall_behind()

    def resume_writing(self) -> None:
        """It took enough."""
        self._paused = False
        self._be_patient_no_more()
        if not self._over:
            self._pull_soon()
            self._read_or_not()

    def look(self, now: float) -> float:
        """Hang up if the client has been silent for too long; see `wheel.py`. What we have
        not read yet, it has said."""
        if self._over:
            return float("inf")
        if self._working or self._deaf:
            return now + self._carrier.idle_seconds
        self._take(self._session.tick(now))
        return float("inf") if self._over else self._session.deadline

    # -- reading --------------------------------------------------------------

    def _heard(self, message: str | bytes) -> list[Effect]:
        return self._session.receive(message, asyncio.get_running_loop().time())

    def _take(self, effects: Sequence[Effect]) -> None:
        """Carry out what can be done at once; from the first that must wait on, in a task."""
        for place, effect in enumerate(effects):
            match effect:
                case Send(data=data):
                    self.send([data])
                case Hangup():
                    return self._hang_up(effect)
                case Leave(topic=topic):
                    self.shut(topic)
                case _:
                    self._working = True
                    return self._context.start(partial(self._work, effects[place:]))

    async def _work(self, effects: Sequence[Effect]) -> None:
        """Carry these out, and then what the client said meanwhile."""
        try:
            await spared(self._carry_out(effects))
            while self._inbox:
                await spared(self._carry_out(self._heard(self._inbox.popleft())))
        except Exception as defect:
            self._defect(defect)
        finally:
            self._working = False
            self._read_or_not()

    async def _carry_out(self, effects: Sequence[Effect]) -> None:
        for effect in effects:
            if self._over:
                return
            match effect:
                case Send(data=data):
                    self.send([data])
                case Hangup():
                    self._hang_up(effect)
                case _:
                    await self._conversation.carry_out(effect)
            await self._room()

    async def _room(self) -> None:
        """Wait until the client has taken enough of its answers."""
        while self._crowded() and not self._over:
            self._roomy = asyncio.get_running_loop().create_future()
            await self._roomy

    def _crowded(self) -> bool:
        return self._carrier.backlog > MAX_UNTAKEN

    def _read_or_not(self) -> None:
        """Whoever must wait for us waits in the network's buffers, not in ours."""
        deaf = not self._over and (bool(self._inbox) or self._crowded())
        if deaf != self._deaf:
            self._deaf = deaf
            if deaf:
                self._carrier.pause_reading()
            else:
                self._carrier.resume_reading()

    # -- writing --------------------------------------------------------------

    def _pull_soon(self) -> None:
        if self._dirty and not (self._pulling or self._paused or self._over):
            self._pulling = True
            self._carrier.start(self._pull)

    async def _pull(self) -> None:
        """Write what the topics have to tell, each in its turn, while the client takes it."""
        try:
            while self._dirty and not (self._paused or self._over):
                topic = next(iter(self._dirty))
                channel = self._dirty.pop(topic)
                frames = await channel.pull(ROOM)
                # A leave or a new join of the topic may have come meanwhile.
                if frames and self._channels.get(topic) is channel:
                    self.send(frames)
                    self.wake(topic)
                    await self._carrier.flush()
            self._dirty = self._dirty or None
        except Refused as trouble:
            log("socket.trouble", code=trouble.code.name)
            self._give_up(trouble.code.name)
        except Exception as defect:
            self._defect(defect)
        finally:
            self._pulling = False

    # -- the end --------------------------------------------------------------

    def _untaken(self) -> int:
        return self._carrier.untaken

    def _be_patient_no_more(self) -> None:
        if self._patience is not None:
            self._patience.end()
            self._patience = None
        if self._roomy is not None and not self._roomy.done():
            self._roomy.set_result(None)

    def _too_slow(self) -> None:
        self._give_up("too slow; come back")

    def _give_up(self, reason: str) -> None:
        """Hang up without what was to be written: the client comes back for it."""
        self._hang_up(Hangup(code("slow_reader").close or 1013, reason), unsaid=True)

    def _defect(self, defect: Exception) -> None:
        log("socket.defect", exc=defect)
        why = Hangup(code("internal").close or 1011, "a defect of the server")
        self._hang_up(why, unsaid=True)

    def _restart(self) -> None:
        """The server goes down: say so after what is already waiting."""
        row = code("shutting_down")
        self._hang_up(Hangup(row.close or 1012, "restarting; come back"))

    def _hang_up(self, why: Hangup, *, unsaid: bool = False) -> None:
        if not self._over:
            self._end = why
            self._hush()
            self._carrier.close(why, unsaid=unsaid)

    def _hush(self) -> None:
        """Tell nothing more, and hold nothing more."""
        self._over = True
        self._be_patient_no_more()
        for topic in list(self._channels):
            self.shut(topic)
        self._inbox = None
