"""What joins and commands of one socket mean: attach, create, cancel, gallery.

Called with the session's effects, one after the other. Every join and command gets
its reply here, first; pushes and events follow. Errors are typed the same as at every
other door.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import msgspec

from safelight_protocol import topics
from safelight_protocol.codes import Refused
from safelight_protocol.commands import (
    Create,
    JoinTask,
    read_generate,
    read_join_gallery,
    read_join_task,
)
from safelight_protocol.effects import Command, Join, Leave
from safelight_protocol.events import TERMINAL, Kind
from safelight_protocol.frames import Serializer
from safelight_protocol.session import Session
from safelight_protocol.snapshot import Snapshot, brief
from safelight_protocol.task import Task

from ..care import Answer
from ..log import Place
from ..telemetry import log
from .bodies import compact, parse_json
from .channels import Channel, GalleryChannel, TaskChannel, status_push
from .context import Context
from .follow import wait_for_end
from .generate import RESPONSES, response_push, text_push
from .problems import socket_error

GENERATE: dict[str, Kind] = {
    "image_generate": "image",
    "video_generate": "video",
    "llm_generate": "text",
}

MAX_TEXT_FRAME = 512 * 1024
"""URLSessionWebSocketTask closes the socket at messages above 1 MiB, its default maximum
(SwiftPhoenixClient issue 254)."""

CUT_CHARACTERS = 20_000
"""Texts of a snapshot that would not fit into a frame are cut to this length."""


class Socket(Protocol):
    """What the conversation needs of its connection."""

    def send(self, frames: list[str | bytes]) -> None: ...
    def open(self, topic: str, channel: Channel) -> None: ...
    def wake(self, topic: str) -> None: ...
    def shut(self, topic: str) -> None: ...
    def later(self, work: Coroutine[Any, Any, None]) -> None: ...


class Conversation:
    """One client's joins and commands."""

    def __init__(
        self,
        context: Context,
        owner: str,
        session: Session,
        serializer: Serializer,
        socket: Socket,
    ) -> None:
        self._context = context
        self._owner = owner
        self._session = session
        self._serializer = serializer
        self._socket = socket

    async def carry_out(self, effect: Join | Leave | Command) -> None:
        """Do what the effect asks for and answer it; never raises."""
        match effect:
            case Leave(topic=topic):
                self._socket.shut(topic)
            case Join():
                await self._answered(self._join(effect), lambda e: self._session.refuse(effect, e))
            case Command():
                if self._session.is_current(effect):
                    await self._answered(
                        self._command(effect), lambda e: self._session.reply(effect, "error", e)
                    )

    async def _answered(
        self, work: Awaitable[None], refuse: Callable[[bytes], list[str | bytes]]
    ) -> None:
        try:
            await work
        except Refused as refused:
            self._socket.send(refuse(msgspec.json.encode(socket_error(refused))))
        except Exception as defect:
            log("socket.defect", exc=defect)
            told = socket_error(Refused("internal", "A defect of the server; it was logged."))
            self._socket.send(refuse(msgspec.json.encode(told)))

    # -- joins ----------------------------------------------------------------

    async def _join(self, join: Join) -> None:
        payload = parse_json(bytes(join.payload))
        match topics.parse(join.topic):
            case topics.TaskTopic(id=id):
                await self._join_task(join, read_join_task(payload, id), id)
            case topics.GalleryTopic():
                await self._join_gallery(join, payload)
            case topics.ConversationTopic():
                self._socket.send(self._session.accept(join, b"{}"))
            case None:
                raise Refused("unmatched_topic", "No topic has that form.")

    async def _join_task(self, join: Join, asked: JoinTask, id: str) -> None:
        context = self._context
        created, warnings = False, list[Any](asked.warnings)
        if asked.create is not None:
            made = await context.orchestrator.create(self._owner, asked.create)
            task, created = made.task, made.created
            warnings += made.warnings
        else:
            task = await context.orchestrator.find(self._owner, id)
        place = await context.log.place(task, asked.after, asked.log)
        snapshot = await context.log.snapshot(task)
        start = snapshot.seq if place is None or place.gap else place.seq
        reply = self._join_reply(snapshot, place, start) | {
            "created": created,
            "attached": asked.create is not None and not created,
            "warnings": msgspec.to_builtins(warnings),
        }
        frames = self._session.accept(join, _bounded(reply, snapshot))
        if not frames:
            return
        ended = snapshot.status in TERMINAL
        status = self._session.push(join.topic, "status", status_push(snapshot))
        if ended and start == snapshot.seq and (place is None or place.gap):
            frames += await self._terminal(task, snapshot, join.topic)
        # Whoever resumes an ended task reads it to its end first: the deployed app
        # leaves at the first terminal word.
        late = ended and start < snapshot.seq
        self._socket.send(frames if late else frames + status)
        self._open_task(join, asked, task, start, status if late else [])

    def _join_reply(self, snapshot: Snapshot, place: Place | None, start: int) -> dict[str, Any]:
        log = self._context.log
        gap = place is not None and place.gap
        return {
            "task": snapshot,
            "log": log.id,
            "cursor": log.cursor(start),
            "seq": start,
            "gap": gap,
        }

    async def _terminal(self, task: Task, snapshot: Snapshot, topic: str) -> list[str | bytes]:
        """The event that ended the task, with its own seq; none once its log was swept."""
        entries = await self._context.log.read(task.uid, snapshot.seq - 1, 1)
        return [entry.frame(self._serializer, topic) for entry in entries]

    def _open_task(
        self, join: Join, asked: JoinTask, task: Task, start: int, afterwards: list[str | bytes]
    ) -> None:
        topic = join.topic
        channel = TaskChannel(
            self._context,
            task,
            topic=topic,
            cursor=start,
            serializer=self._serializer,
            push=lambda event, payload: self._session.push(topic, event, payload),
            previews=asked.previews,
            afterwards=afterwards,
            wake=lambda: self._socket.wake(topic),
        )
        self._socket.open(topic, channel)

    async def _join_gallery(self, join: Join, payload: Any) -> None:
        asked = read_join_gallery(payload)
        gallery = self._context.gallery
        resumed = asked.after is not None and await gallery.covers(asked.log, asked.after)
        page = await gallery.page(self._owner, None, asked.limit)
        position = asked.after if resumed and asked.after is not None else page.position
        reply = {
            "tasks": [] if resumed else msgspec.to_builtins(page.tasks),
            "position": position,
            "next": None if resumed else page.next,
            "log": gallery.log,
            "gap": asked.after is not None and not resumed,
            "warnings": list(asked.warnings),
        }
        frames = self._session.accept(join, msgspec.json.encode(reply))
        if not frames:
            return
        self._socket.send(frames)
        topic = join.topic
        channel = GalleryChannel(
            self._context,
            self._owner,
            position=position,
            push=lambda event, body: self._session.push(topic, event, body),
            wake=lambda: self._socket.wake(topic),
        )
        self._socket.open(topic, channel)

    # -- commands -------------------------------------------------------------

    async def _command(self, command: Command) -> None:
        if not isinstance(command.payload, msgspec.Raw):
            expected = "a JSON object"
            wrong: dict[str, object] = {"field": "payload", "found": "bytes", "expected": expected}
            raise Refused("invalid", "Commands are JSON; binary is for previews only.", [wrong])
        if command.event == "ping":
            return self._reply(command, compact(command.payload))
        payload = parse_json(bytes(command.payload))
        match topics.parse(command.topic), command.event:
            case topics.TaskTopic(id=id), "cancel":
                snapshot = await self._context.orchestrator.cancel(self._owner, id)
                self._reply(command, msgspec.json.encode(snapshot))
            case topics.GalleryTopic(), "list":
                await self._list(command, payload)
            case topics.TaskTopic(id=id), event if event in GENERATE:
                await self._generate(command, payload, id)
            case topics.ConversationTopic(), event if event in GENERATE:
                await self._generate(command, payload, None)
            case _:
                raise Refused("unknown_event", f"{command.topic} knows no event {command.event}.")

    def _reply(self, command: Command, response: bytes) -> None:
        self._socket.send(self._session.reply(command, "ok", response))

    async def _list(self, command: Command, payload: Any) -> None:
        asked = payload if isinstance(payload, dict) else {}
        before, limit = asked.get("before"), asked.get("limit", 50)
        whole = isinstance(limit, int) and 1 <= limit <= 200
        page = await self._context.gallery.page(
            self._owner, str(before) if before is not None else None, limit if whole else 50
        )
        self._reply(command, msgspec.json.encode({"tasks": page.tasks, "next": page.next}))

    async def _generate(self, command: Command, payload: Any, id: str | None) -> None:
        """Attach on a task's channel, create on a conversation's. The app hears it twice:
        as the reply, and as the push it has always waited for."""
        kind = GENERATE[command.event]
        try:
            create: Create = read_generate(kind, payload, topic_id=id)
            made = await self._context.orchestrator.create(self._owner, create)
        except Refused as refused:
            self._respond(command, response_push(kind, refused, payload, self._context))
            raise
        told = {
            "task_id": made.task.id,
            "status": made.snapshot.status,
            "created": made.created,
            "attached": not made.created,
            "warnings": msgspec.to_builtins(list(made.warnings)),
        }
        self._reply(command, msgspec.json.encode(told))
        if kind == "text":
            self._socket.later(self._respond_at_end(command, made, payload))
        else:
            self._respond(command, response_push(kind, made, payload, self._context))

    async def _respond_at_end(self, command: Command, made: Answer, payload: Any) -> None:
        """`llm_response` carries the content, so it waits for it."""
        snapshot = await wait_for_end(self._context, made.task, made.snapshot, None)
        self._respond(command, text_push(snapshot, made, payload, self._context))

    def _respond(self, command: Command, payload: bytes) -> None:
        self._socket.send(
            self._session.push(command.topic, RESPONSES[GENERATE[command.event]], payload)
        )


def _bounded(reply: dict[str, Any], snapshot: Snapshot) -> bytes:
    """The reply as JSON; a snapshot too large for a frame is cut and says where it is."""
    body = msgspec.json.encode(reply)
    if len(body) <= MAX_TEXT_FRAME:
        return body
    cut = brief(snapshot, CUT_CHARACTERS)
    return msgspec.json.encode(reply | {"task": cut, "url": f"/api/tasks/{snapshot.task_id}"})
