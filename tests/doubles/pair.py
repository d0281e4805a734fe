"""A server's session and a client joined by lists: two ends without a network.

The driver's part is played here too: effects are carried out one after another, by an
app that accepts every join and echoes every command unless it is told otherwise.
Messages stay in the lists until they are carried, so that a test can stop in between.
Unrealistic on purpose: a cut loses everything that was on its way, both ways.
"""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from safelight_protocol.client import Client, Output
from safelight_protocol.effects import Command, Data, Effect, Hangup, Join, Leave, Send
from safelight_protocol.frames import V1, V2, Ref, Serializer
from safelight_protocol.happenings import Connect
from safelight_protocol.session import Session

Answer = tuple[str, bytes]


def accept_all(_join: Join) -> Answer:
    """The answer to a join unless the test says otherwise."""
    return "ok", b"{}"


def echo(command: Command) -> Answer | None:
    """The answer to a command unless the test says otherwise."""
    if isinstance(command.payload, msgspec.Raw):
        return "ok", bytes(memoryview(command.payload))
    return None


class Old:
    """What a V1 client puts between its socket and the rest: V1 has no place for a join_ref,
    so an end (whose ref is that of its join) is given the one it belongs to."""

    def __init__(self) -> None:
        self._v1, self._v2 = V1(), V2()
        self._joins: dict[Ref, Ref] = {}

    def up(self, data: str) -> str:
        """A frame of the client, as V1 has it."""
        frame = self._v2.decode_text(data)
        if frame.event == "phx_join":
            self._joins[frame.ref] = frame.join_ref
        payload = bytes(memoryview(frame.payload))
        return self._v1.encode(None, frame.ref, frame.topic, frame.event, payload)

    def down(self, data: str) -> str:
        """A frame of the server, as the client knows them."""
        frame = self._v1.decode_text(data)
        ended = frame.event in ("phx_close", "phx_error")
        join_ref = self._joins.get(frame.ref) if ended else None
        payload = bytes(memoryview(frame.payload))
        return self._v2.encode(join_ref, frame.ref, frame.topic, frame.event, payload)


class Pair:
    """Both ends. `told` is all that the client told, `wire` all that the server read and
    wrote, `done` the effects that were carried out on this connection.

    The client starts its refs and its join_refs at different numbers: a server that
    takes one for the other fails at once.
    """

    def __init__(
        self, *, first_ref: int = 1, first_join_ref: int = 501, serializer: Serializer | None = None
    ) -> None:
        self.now = 0.0
        self.serializer = serializer or V2()
        self.old = Old() if self.serializer.vsn == V1.vsn else None
        self.client = Client(first_ref=first_ref, first_join_ref=first_join_ref)
        self.session: Session | None = None
        self.up: list[Data] = []
        self.down: list[Data] = []
        self.effects: list[Effect] = []
        self.told: list[Output] = []
        self.wire: list[tuple[str, Data]] = []
        self.done: list[Effect] = []
        self.on_join: Callable[[Join], Answer] = accept_all
        self.on_command: Callable[[Command], Answer | None] = echo
        self.on_leave: Callable[[Leave], None] = lambda leave: None
        self.on_outputs: Callable[[list[Output]], None] = lambda outputs: None

    def connect(self) -> None:
        """A connection opens, with a session of its own."""
        self.wire.append(("connection", ""))
        self.done.clear()
        self.session = Session(self.serializer, now=self.now)
        self.hear(self.client.connected(self.now))

    def cut(self, code: int | None = None) -> None:
        """The connection is gone, and what was on its way with it."""
        self.session = None
        for lost in (self.up, self.down, self.effects):
            lost.clear()
        self.hear(self.client.disconnected(self.now, code, jitter=1.0))

    def hear(self, outputs: list[Output]) -> None:
        """Carry out what the client wants."""
        self.on_outputs(outputs)
        for output in outputs:
            match output:
                case Send(data=str(data)) if self.old is not None:
                    self.up.append(self.old.up(data))
                case Send(data=data):
                    self.up.append(data)
                case Hangup(code=code):
                    self.told.append(output)
                    self.cut(code)
                case Connect():
                    self.connect()
                case _:
                    self.told.append(output)

    def say(self, data: list[Data]) -> None:
        """The server writes."""
        self.down += data
        self.wire += [("down", message) for message in data]

    def carry_up(self) -> None:
        """One message of the client arrives."""
        data = self.up.pop(0)
        self.wire.append(("up", data))
        assert self.session is not None
        self.effects += self.session.receive(data, self.now)

    def carry_down(self) -> None:
        """One message of the server arrives."""
        data = self.down.pop(0)
        if self.old is not None and isinstance(data, str):
            data = self.old.down(data)
        self.hear(self.client.receive(data, self.now))

    def work(self) -> None:
        """The server's driver carries out one effect."""
        effect = self.effects.pop(0)
        self.done.append(effect)
        session = self.session
        assert session is not None
        match effect:
            case Send(data=data):
                self.say([data])
            case Join():
                status, response = self.on_join(effect)
                answer = session.accept if status == "ok" else session.refuse
                self.say(answer(effect, response))
            case Command():
                self._command(session, effect)
            case Hangup(code=code):
                self.cut(code)
            case Leave():
                self.on_leave(effect)

    def _command(self, session: Session, command: Command) -> None:
        if not session.is_current(command):
            return
        answer = self.on_command(command)
        if answer is not None:
            self.say(session.reply(command, *answer))

    def settle(self) -> list[Output]:
        """Carry and work until nothing is left. Returns what the client told since."""
        before = len(self.told)
        while self.up or self.effects or self.down:
            while self.effects:
                self.work()
            while self.down:
                self.carry_down()
            if self.up:
                self.carry_up()
        return self.told[before:]

    def wait(self, seconds: float) -> None:
        """Time passes for both ends."""
        self.now += seconds
        self.hear(self.client.tick(self.now))
        if self.session is not None:
            self.effects += self.session.tick(self.now)
