"""The Python client: everything one can do with tasks, over REST and one socket.

Owns no state of tasks; that is in `watch.py`. `connect` owns the task group in which
the socket lives, so nothing outlives the `async with` block. Imports nothing of the
server. The client's part of the wire is told in docs/wire.md.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit
from uuid import uuid4

import anyio
import anyio.abc
import msgspec

from safelight_protocol.prices import Price
from safelight_protocol.quotes import Allowance, Quote
from safelight_protocol.snapshot import Snapshot

from .errors import RequestRefused, Unreachable, WrongAnswer
from .fold import Event
from .providers import Provider, Providers
from .rest import Rest, query_of
from .socket import Socket
from .times import USUAL, Times
from .watch import Feed, Watch

PATIENCE_SECONDS = 15.0
"""A server that is restarted is back within it."""


class Page(msgspec.Struct, frozen=True, kw_only=True):
    """Tasks, newest first. `next` is the `before` of the following page, None at the end."""

    tasks: tuple[Snapshot, ...]
    next: str | None = None


class Model(msgspec.Struct, frozen=True, kw_only=True):
    """A model. `price` is in US dollars for one result, None where that cannot be said, and
    `pricing` what it is made of.

    `aliases` are its other names, `backends` those that may run it. A `retired` one is
    answered for by `replaced_by`. `params` maps each parameter to a fragment of JSON Schema.
    """

    name: str
    kind: str
    label: str = ""
    provider: str = ""
    backends: tuple[str, ...] = ()
    usable: bool = True
    default: bool = False
    price: float | None = None
    pricing: Price | None = None
    vip: bool = False
    retired: bool = False
    replaced_by: str | None = None
    aliases: tuple[str, ...] = ()
    params: dict[str, dict[str, Any]] = {}


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A file of yours at the server; `url` shows it to whoever has it."""

    id: str
    url: str
    media_type: str
    width: int | None
    height: int | None
    bytes: int


class Spent(msgspec.Struct, frozen=True, kw_only=True):
    """What a day, or a model, came to, in millionths of a US dollar, over so many attempts."""

    amount_micros: int
    charges: int
    estimated: int
    unknown: int
    day: str = ""
    model: str = ""
    provider: str = ""


class Open(msgspec.Struct, frozen=True, kw_only=True):
    """An attempt whose cost is not known to this day: `amount_micros` is what is known of it."""

    task_id: str
    attempt: int
    model: str
    provider: str
    amount_micros: int
    reason: str
    day: str


class Usage(msgspec.Struct, frozen=True, kw_only=True):
    """What one spent from one day (UTC) to another, both included. `unknown` has the newest
    fifty of the charges that are not known; the budget counts each as the most it may be."""

    first: str = msgspec.field(name="from")
    to: str
    total_micros: int
    held_micros: int
    budget: Allowance | None
    days: tuple[Spent, ...]
    models: tuple[Spent, ...]
    unknown: tuple[Open, ...] = ()


class _Health(msgspec.Struct, frozen=True):
    version: str = ""


class _Models(msgspec.Struct, frozen=True):
    models: tuple[Model, ...]


class _Warnings(msgspec.Struct, frozen=True):
    warnings: tuple[Any, ...] = ()


class Client:
    """One owner's tasks on one server. Made by `connect`.

    Every method raises Unreachable when no server answers, RequestRefused when it says
    no, WrongAnswer when what answers is no Safelight server.
    """

    def __init__(self, rest: Rest, socket: Socket, group: anyio.abc.TaskGroup) -> None:
        self._rest = rest
        self._socket = socket
        self._group = group

    async def version(self) -> str:
        """The version of the server, in one try: whether there is one."""
        return (await self._rest.ask("GET", "/healthz", _Health)).version

    async def create(
        self,
        *,
        kind: str,
        prompt: str,
        key: str | None = None,
        on_warning: Callable[[Any], None] = lambda warning: None,
        **fields: object,
    ) -> Snapshot:
        """Make a task, or attach to the one that this request already is.

        `fields` are the others of the native body (`model`, `params`, `seed`, …); None
        leaves one out. `key` is its Idempotency-Key, a new one by default; it goes with
        every try, so an answer that was lost costs no second task.
        """
        given = {name: value for name, value in fields.items() if value is not None}
        body = {"kind": kind, "prompt": prompt, **given}
        headers = {"Idempotency-Key": key or uuid4().hex}
        raw = await self._rest.insist(
            lambda: self._rest.ask("POST", "/api/tasks", msgspec.Raw, body=body, headers=headers)
        )
        for warning in msgspec.json.decode(raw, type=_Warnings).warnings:
            on_warning(warning)
        return _snapshot(raw)

    async def quote(self, *, kind: str, prompt: str, **fields: object) -> Quote:
        """What a create of this would cost. Nothing is made."""
        given = {name: value for name, value in fields.items() if value is not None}
        body = {"kind": kind, "prompt": prompt, **given}
        return await self._rest.ask("POST", "/api/quotes", Quote, body=body)

    async def usage(self, first: str | None = None, to: str | None = None) -> Usage:
        """What was spent, from one day to another such as 2026-11-21; the last 30 by default."""
        query = query_of(**{"from": first, "to": to})
        return await self._rest.ask("GET", "/api/usage", Usage, query=query)

    async def upload(self, file: Path | str | bytes) -> Upload:
        """Send a file (a path, or its bytes) that tasks may start from: name it as
        `inputs=[{"upload": upload.id}]`. The same bytes are the same upload."""
        sent = Path(file) if isinstance(file, str) else file
        return await self._rest.insist(
            lambda: self._rest.ask("POST", "/api/uploads", Upload, file=sent)
        )

    def watch(self, id: str, on_event: Callable[[Event], None] | None = None) -> Watch:
        """Snapshots of a task until its end, over any number of connections.

        `on_event` is called with each event from the first snapshot on, once and in
        order, also with those of a type that was added later. It must not wait.
        """
        feed = self._socket.feed_of(id)
        if feed is None:
            feed = Feed(id, self._complete)
            self._socket.follow(feed)
        watch = Watch(feed, self._unwatch, on_event)
        feed.watchers.append(watch)
        return watch

    async def get(self, id: str) -> Snapshot:
        """A task as it is now."""
        return _snapshot(await self._rest.ask("GET", _path(id), msgspec.Raw))

    async def tasks(self, limit: int = 50, before: str | None = None) -> Page:
        """One's own tasks, newest first; `limit` is 1 to 200."""
        query = query_of(limit=limit, before=before)
        return await self._rest.ask("GET", "/api/tasks", Page, query=query)

    async def models(self, kind: str | None = None) -> tuple[Model, ...]:
        """The models, all or of one kind."""
        found = await self._rest.ask("GET", "/api/models", _Models, query=query_of(kind=kind))
        return found.models

    async def providers(self) -> tuple[Provider, ...]:
        """The providers of the server, and whether they take its keys."""
        return (await self._rest.ask("GET", "/api/providers", Providers)).providers

    async def schema(self, model: str) -> dict[str, Any]:
        """What a model takes as `params`, as a document of JSON Schema."""
        path = f"/api/models/{quote(model)}/schema"
        return await self._rest.ask("GET", path, dict[str, Any])

    async def cancel(self, id: str) -> Snapshot:
        """Ask for the task's end; its terminal event says whether that came in time."""
        path = _path(id) + "/cancel"
        return _snapshot(await self._rest.insist(lambda: self._rest.ask("POST", path, msgspec.Raw)))

    async def delete(self, id: str) -> None:
        """Delete an ended task with its files; refused (`still_running`) before its end."""
        await self._rest.ask("DELETE", _path(id), msgspec.Raw)

    async def artifact(self, url: str, path: Path | str, sha256: str | None = None) -> Path:
        """Download a file; `url` is that of its event, relative or absolute.

        It is at `path` whole or not at all: it is written beside it and then renamed.
        With `sha256`, other bytes than those raise Damaged.
        """
        target = Path(path)
        await self._rest.insist(lambda: self._rest.download(url, target, sha256))
        return target

    def _unwatch(self, watch: Watch) -> None:
        watch.feed.watchers.remove(watch)
        if not watch.feed.watchers:
            self._socket.leave(watch.feed)

    def _complete(self, feed: Feed) -> None:
        """A snapshot too large for a frame is had over REST."""
        self._group.start_soon(self._fetch_whole, feed)

    async def _fetch_whole(self, feed: Feed) -> None:
        try:
            feed.whole(await self._rest.insist(lambda: self.get(feed.id)))
        except (Unreachable, RequestRefused, WrongAnswer) as trouble:
            feed.fail(trouble)


@asynccontextmanager
async def connect(
    url: str,
    token: str | None = None,
    *,
    patience: float = PATIENCE_SECONDS,
    times: Times = USUAL,
    on_line: Callable[[bool], None] = lambda up: None,
) -> AsyncIterator[Client]:
    """A client of the server at `url`, `http://127.0.0.1:4747` say.

    No connection is made before it is needed. `patience` is for how many seconds a
    create, a cancel or a download is tried again over lost connections; a watch is
    never given up. `times` say when a silent connection counts as lost. `on_line` hears
    whether the socket is up.
    """
    base = url.rstrip("/")
    rest = Rest(base, token, patience=patience, times=times)
    socket = Socket(_socket_url(base), token, times=times, on_line=on_line)
    trouble: Exception | None = None
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(socket.run)
            try:
                yield Client(rest, socket, group)
            except Exception as raised:
                trouble = raised  # the group would wrap what is the caller's own
            finally:
                await socket.close()
                group.cancel_scope.cancel()
    finally:
        await rest.close()
    if trouble is not None:
        raise trouble


def _snapshot(raw: msgspec.Raw) -> Snapshot:
    try:
        return msgspec.json.decode(raw, type=Snapshot)
    except msgspec.DecodeError as trouble:
        raise WrongAnswer(f"the snapshot cannot be read: {trouble}") from None


def _path(id: str) -> str:
    return f"/api/tasks/{quote(id, safe='')}"


def _socket_url(base: str) -> str:
    scheme = {"http": "ws", "https": "wss"}.get(urlsplit(base).scheme)
    if scheme is None:
        raise ValueError(f"url: found {base!r}, expected an http or https address")
    return f"{scheme}{base[base.index(':') :]}/socket/websocket?vsn=2.0.0"
