"""What the joins of one socket mean: attach, create, converse, see the gallery.

Called with the session's effects, one after the other. Every join and command gets
its reply first; pushes and events follow. Errors are typed the same as at every other
door. What commands mean is in `commands.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec

from safelight_protocol import realtime, topics
from safelight_protocol.bounds import MAX_TEXT_FRAME, bounded
from safelight_protocol.codes import Refused
from safelight_protocol.commands import (
    JoinTask,
    read_join_gallery,
    read_join_task,
)
from safelight_protocol.effects import Command, Data, Join, Leave
from safelight_protocol.events import TERMINAL
from safelight_protocol.frames import Serializer
from safelight_protocol.joins import read_join_conversation
from safelight_protocol.session import Session
from safelight_protocol.snapshot import Snapshot
from safelight_protocol.task import Task

from ..log import Place
from ..telemetry import log
from .bodies import parse_json
from .channels import ConversationChannel, GalleryChannel
from .commands import Commands
from .context import Context
from .feeds import Feed
from .problems import socket_error
from .told import join_reply, status_push
from .voice import Frames, Previews, Socket, Voice

__all__ = ["MAX_TEXT_FRAME", "Conversation"]


class Conversation:
    """One client's joins and commands; the host of its feeds."""

    __slots__ = ("_commands", "_context", "_owner", "_serializer", "_session", "_socket")

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
        self._commands = Commands(context, owner, session, socket)

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
                        self._commands.carry_out(effect),
                        lambda e: self._session.reply(effect, "error", e),
                    )

    async def _answered(self, work: Awaitable[None], refuse: Callable[[bytes], list[Data]]) -> None:
        try:
            await work
        except Refused as refused:
            error = msgspec.json.encode(socket_error(refused))
            self._socket.send([*refuse(bounded(error, None))])
        except Exception as defect:
            log("socket.defect", exc=defect)
            told = socket_error(Refused("internal", "A defect of the server; it was logged."))
            self._socket.send([*refuse(msgspec.json.encode(told))])

    # -- joins ----------------------------------------------------------------

    async def _join(self, join: Join) -> None:
        payload = parse_json(bytes(join.payload))
        match topics.parse(join.topic):
            case topics.TaskTopic(id=id):
                asked = read_join_task(payload, id)
                await self._join_task(join, asked, id, self._voice(join.topic, asked.previews))
            case topics.RealtimeTopic(id=id):
                voice = self._voice(join.topic, None, answers=realtime.wants_answers(payload))
                await self._join_task(join, JoinTask(), id, voice, {"postgres_changes": []})
            case topics.ConversationTopic():
                self._join_conversation(join, payload)
            case topics.GalleryTopic():
                await self._join_gallery(join, payload)
            case None:
                raise Refused("unmatched_topic", "No topic has that form.")

    def _voice(self, topic: str, previews: Previews, *, answers: bool = True) -> Voice:
        binary = self._socket.takes_binary
        return Voice(
            topic=topic,
            serializer=self._serializer,
            session=self._session,
            previews=previews if binary or previews is None else "url",
            answers=answers,
        )

    async def _join_task(
        self,
        join: Join,
        asked: JoinTask,
        id: str,
        voice: Voice,
        more: dict[str, Any] | None = None,
    ) -> None:
        task, beside = await self._wanted(asked, id)
        place = await self._context.log.place(task, asked.after, asked.log)
        snapshot = await self._context.log.snapshot(task)
        start = snapshot.seq if place is None or place.gap else place.seq
        reply = self._place_told(place, start) | beside | (more or {})
        frames: Frames = [*self._session.accept(join, join_reply(reply, snapshot))]
        if not frames:
            return
        ended = snapshot.status in TERMINAL
        status = voice.push("status", status_push(snapshot))
        if ended and start == snapshot.seq and (place is None or place.gap):
            frames += await self._terminal(task, snapshot, join.topic)
        # Whoever resumes an ended task reads it to its end first: the deployed app
        # leaves at the first terminal word.
        late = ended and start < snapshot.seq
        self._socket.send(frames if late else frames + status)
        self._open_task(task, voice, start, status if late else [])

    async def _wanted(self, asked: JoinTask, id: str) -> tuple[Task, dict[str, Any]]:
        """The task that a join names or makes, and what the reply says about that."""
        created, warnings = False, list[Any](asked.warnings)
        if asked.create is not None:
            made = await self._context.orchestrator.create(self._owner, asked.create)
            task, created = made.task, made.created
            warnings += made.warnings
        else:
            task = await self._context.orchestrator.find(self._owner, id)
        return task, {
            "created": created,
            "attached": asked.create is not None and not created,
            "warnings": msgspec.to_builtins(warnings),
        }

    def _place_told(self, place: Place | None, start: int) -> dict[str, Any]:
        log = self._context.log
        gap = place is not None and place.gap
        return {"log": log.id, "cursor": log.cursor(start), "seq": start, "gap": gap}

    async def _terminal(self, task: Task, snapshot: Snapshot, topic: str) -> Frames:
        """The event that ended the task, with its own seq; none once its log was swept."""
        entries = await self._context.log.read(task.uid, snapshot.seq - 1, 1)
        return [entry.frame(self._serializer, topic) for entry in entries]

    def _open_task(self, task: Task, voice: Voice, start: int, afterwards: Frames) -> None:
        feed = Feed(
            self._context,
            self,
            task,
            voice,
            cursor=start,
            afterwards=afterwards,
            write=self._socket.wire,
        )
        self._socket.open(voice.topic, feed)

    @property
    def is_taking(self) -> bool:
        """Whether the client takes what is written, as far as is known."""
        return self._socket.is_taking

    def failed(self, feed: Feed, defect: Exception) -> None:
        """One of the feeds could not be written to."""
        self._socket.fail(defect)

    def stir(self, feed: Feed) -> None:
        """One of the feeds has something to tell."""
        self._socket.wake(feed.voice.topic)

    def deleted(self, feed: Feed) -> Frames:
        """The last words about a task that is no more: its channel is closed for good, or
        clients would join again and again to be told that it is gone."""
        told = feed.voice.push("task_deleted", msgspec.json.encode({"task_id": feed.task.id}))
        return [*told, *self._session.close(feed.voice.topic)]

    def left(self, feed: Feed) -> None:
        """A feed has said its last words."""
        if self._socket.channel(feed.voice.topic) is feed:
            self._socket.shut(feed.voice.topic)

    def _join_conversation(self, join: Join, payload: Any) -> None:
        asked = read_join_conversation(payload)
        reply = {"warnings": list(asked.warnings)} if asked.warnings else {}
        frames = self._session.accept(join, msgspec.json.encode(reply))
        if not frames:
            return
        self._socket.send([*frames])
        topic = join.topic
        room = ConversationChannel(
            self._context,
            self._voice(topic, asked.previews),
            aloud=asked.events,
            wake=lambda: self._socket.wake(topic),
        )
        self._socket.open(topic, room)

    async def _join_gallery(self, join: Join, payload: Any) -> None:
        asked = read_join_gallery(payload)
        gallery = self._context.gallery
        resumed = asked.after is not None and await gallery.covers(asked.log, asked.after)
        preferences = self._context.preferences
        told = preferences.version(self._owner), preferences.of(self._owner)
        page = await gallery.page(self._owner, None, asked.limit)
        position = asked.after if resumed and asked.after is not None else page.position
        reply = {
            "tasks": [] if resumed else msgspec.to_builtins(page.tasks),
            "position": position,
            "next": None if resumed else page.next,
            "log": gallery.log,
            "gap": asked.after is not None and not resumed,
            "warnings": list(asked.warnings),
            "preferences": told[1],
        }
        frames = self._session.accept(join, bounded(msgspec.json.encode(reply), None))
        if not frames:
            return
        self._socket.send([*frames])
        topic = join.topic
        channel = GalleryChannel(
            self._context,
            self._owner,
            position=position,
            told=told[0],
            voice=self._voice(topic, None),
            wake=lambda: self._socket.wake(topic),
        )
        self._socket.open(topic, channel)
