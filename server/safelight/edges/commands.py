"""What a client's commands on a joined topic mean: ping, cancel, list, generate.

Each is answered by a reply, first; whatever else it causes follows. Commands are JSON
objects; a binary push that holds one counts as it, and a ping of bytes is answered in
bytes. On `realtime:` topics they come wrapped (safelight_protocol/realtime.py).
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol import realtime, topics
from safelight_protocol.bounds import MAX_PAYLOAD, bounded
from safelight_protocol.codes import Refused
from safelight_protocol.commands import read_generate
from safelight_protocol.effects import Command
from safelight_protocol.events import Kind
from safelight_protocol.joins import read_list
from safelight_protocol.session import Session
from safelight_protocol.snapshot import Snapshot

from ..care import Answer as Created
from .bodies import compact, parse_json
from .channels import ConversationChannel
from .context import Context
from .feeds import Answer, Feed
from .generate import GENERATE, RESPONSES, generate_reply, response_push, text_push
from .told import snapshot_reply
from .voice import Frames, Socket, Voice


class Commands:
    """Carries out one client's commands."""

    __slots__ = ("_context", "_owner", "_session", "_socket")

    def __init__(
        self,
        context: Context,
        owner: str,
        session: Session,
        socket: Socket,
    ) -> None:
        self._context = context
        self._owner = owner
        self._session = session
        self._socket = socket

    async def carry_out(self, command: Command) -> None:
        """Do it and reply. Raises Refused."""
        match topics.parse(command.topic):
            case topics.RealtimeTopic(id=id):
                await self._dialect(command, id)
            case topics.TaskTopic(id=id):
                await self._on_task(command, id)
            case topics.ConversationTopic() if command.event in GENERATE:
                await self._generate(command, None)
            case topics.GalleryTopic() if command.event == "list":
                await self._list(command)
            case _:
                self._anywhere(command)

    async def _dialect(self, command: Command, id: str) -> None:
        match command.event:
            case "access_token":
                # Who asks was settled when the socket opened. No answer is expected.
                return
            case "presence":
                # Nobody is told who else is here; the library waits for an answer.
                return self._send(command, b"{}")
            case realtime.BROADCAST:
                said = realtime.read_said(command.payload)
                command = msgspec.structs.replace(command, event=said.event, payload=said.payload)
        await self._on_task(command, id)

    async def _on_task(self, command: Command, id: str) -> None:
        if command.event == "cancel":
            _object(command.payload)
            snapshot = await self._context.orchestrator.cancel(self._owner, id)
            self._reply(command, snapshot_reply(snapshot))
        elif command.event in GENERATE:
            await self._generate(command, id)
        else:
            self._anywhere(command)

    def _anywhere(self, command: Command) -> None:
        if command.event != "ping":
            raise Refused("unknown_event", f"{command.topic} knows no event {command.event}.")
        size = len(memoryview(command.payload))
        if size > MAX_PAYLOAD:
            raise Refused("too_large", f"A ping has at most {MAX_PAYLOAD} bytes, not {size}.")
        if isinstance(command.payload, msgspec.Raw):
            return self._reply(command, compact(bytes(command.payload)))
        if not self._socket.takes_binary:
            raise Refused("invalid", "No binary answer reaches this client.")
        self._socket.send([*self._session.reply_binary(command, "ok", command.payload)])

    async def _list(self, command: Command) -> None:
        asked = read_list(_object(command.payload))
        page = await self._context.gallery.page(self._owner, asked.before, asked.limit)
        reply: dict[str, Any] = {"tasks": page.tasks, "next": page.next}
        if asked.warnings:
            reply["warnings"] = asked.warnings
        self._reply(command, bounded(msgspec.json.encode(reply), None))

    async def _generate(self, command: Command, id: str | None) -> None:
        """Attach on a task's channel, create on a conversation's. The app hears it twice:
        as the reply, and as the push it has always waited for."""
        kind = GENERATE[command.event]
        payload = _object(command.payload)
        channel = self._open(command)
        try:
            if channel.is_full:
                raise Refused("too_many", f"Too much is under way on {command.topic}.")
            create = read_generate(kind, payload, topic_id=id)
            made = await self._context.orchestrator.create(self._owner, create)
        except Refused as refused:
            self._respond(channel.voice, kind, response_push(kind, refused, payload, self._context))
            raise
        self._reply(command, generate_reply(made))
        answer = None
        if kind == "text":
            answer = self._at_end(channel.voice, made, payload)
        else:
            self._respond(channel.voice, kind, response_push(kind, made, payload, self._context))
        asked_by = create.request_id or f"#{command.ref}"
        channel.asked_for(made, f"{command.event} {asked_by}", answer)

    def _at_end(self, voice: Voice, made: Created, payload: Any) -> Answer:
        """`llm_response` carries the content, so it waits for it."""

        def answer(snapshot: Snapshot | None) -> Frames:
            body = text_push(snapshot, made, payload, self._context)
            return voice.push(RESPONSES["text"], body)

        return answer

    def _open(self, command: Command) -> Feed | ConversationChannel:
        """What tasks are asked for on: a command is current, so its topic is joined."""
        channel = self._socket.channel(command.topic)
        assert isinstance(channel, Feed | ConversationChannel), "galleries know no generate"
        return channel

    def _respond(self, voice: Voice, kind: Kind, body: bytes) -> None:
        self._socket.send(voice.push(RESPONSES[kind], body))

    def _reply(self, command: Command, response: bytes) -> None:
        channel = self._socket.channel(command.topic)
        if not isinstance(channel, Feed) or channel.voice.answers:
            self._send(command, response)

    def _send(self, command: Command, response: bytes) -> None:
        self._socket.send([*self._session.reply(command, "ok", response)])


def _object(payload: msgspec.Raw | bytes) -> dict[str, Any]:
    try:
        found = parse_json(bytes(payload))
    except Refused:
        found = None
    if isinstance(found, dict):
        return found
    told = "bytes" if isinstance(payload, bytes) else "no object"
    wrong: dict[str, object] = {"field": "payload", "found": told, "expected": "a JSON object"}
    raise Refused("invalid", "A command's payload is a JSON object.", [wrong])
