"""The composition root: builds the parts, wires them, and starts and stops them.

Nothing here decides anything. The one task group of the process lives in `running`;
the application's lifespan is exactly the time inside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

import anyio
import anyio.abc
from starlette.applications import Starlette

from . import __version__
from .accounts import Accounts
from .artifacts import ArtifactStore
from .assembly import Parts, orchestrator_of, parts_of, reckoning_of, retention_of
from .backends import Backend, Directory, Rhythm
from .configured import artifacts_of, backends_of, providers_of
from .edges import webhooks
from .edges.auth import Authenticator
from .edges.context import Context, Start
from .edges.guests import Guests
from .edges.hot import App
from .edges.lanes import Lanes
from .edges.polls import Polls
from .edges.problems import HANDLERS
from .edges.routes import ROUTES
from .edges.wheel import Wheel
from .fetching import Fetcher
from .gallery import Gallery
from .greetings import Manners, Receptions
from .insist import insist
from .machine import Machine
from .orchestrator import Orchestrator
from .providers.base import Provider
from .recovery import LEARNT, adopt, take_up, times_of
from .retention import Retention
from .settings import Settings
from .shelf import Shelf
from .sniffed import named_loop
from .store import Store, open_store
from .subscriptions import Subscriptions
from .telemetry import log as record
from .uploads import Uploads
from .waits import Waits
from .webhooks import Poster

OpenStore = Callable[[Path, int], AbstractAsyncContextManager[Store]]
"""How the store in a directory is opened, at a time."""


def create_app(
    settings: Settings,
    providers: Mapping[str, Provider] | None = None,
    opened: OpenStore = open_store,
    subscriptions: Callable[[], Subscriptions] = Subscriptions,
    backends: Mapping[str, Backend] | None = None,
    rhythm: Rhythm | None = None,
    manners: Manners | None = None,
) -> Starlette:
    """The ASGI application. `providers` and `backends` replace the configured ones, `opened`
    the way the store is opened, and `subscriptions` who wakes the followers: a test may put
    trouble between. `rhythm` says when backends are asked how they are, `manners` when
    providers are."""
    named = backends_of(settings) if backends is None else backends
    chosen = dict(providers) if providers is not None else providers_of(settings, named)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        given = running(
            settings,
            chosen,
            opened,
            subscriptions,
            backends=named,
            rhythm=rhythm,
            manners=manners,
        )
        async with given as context:
            app.state.context = context
            yield

    return App(routes=ROUTES, lifespan=lifespan, exception_handlers=HANDLERS)


@asynccontextmanager
async def running(
    settings: Settings,
    providers: Mapping[str, Provider],
    opened: OpenStore = open_store,
    subscriptions: Callable[[], Subscriptions] = Subscriptions,
    machine: Machine | None = None,
    files: Callable[[Settings], ArtifactStore] = artifacts_of,
    backends: Mapping[str, Backend] | None = None,
    rhythm: Rhythm | None = None,
    manners: Manners | None = None,
) -> AsyncIterator[Context]:
    """Everything behind the doors, started and recovered; stopped at exit. With another
    `machine`, `opened` and `files` it takes nothing from this one."""
    directory, machine = Path(settings.data_dir), machine or Machine()
    artifacts = files(settings)
    async with AsyncExitStack() as stack:
        stack.enter_context(named_loop())
        store = await stack.enter_async_context(opened(directory, machine.clock()))
        await artifacts.open()
        for provider in providers.values():
            await stack.enter_async_context(provider.open())
        fetcher = Fetcher(artifacts, settings.fetch_seconds)
        await stack.enter_async_context(fetcher.open())
        poster = Poster(settings.webhook_seconds, private=settings.webhook_allow_private)
        await stack.enter_async_context(poster.open())
        group = await stack.enter_async_context(anyio.create_task_group())
        named = Directory(
            backends or {}, clock=machine.clock, monotonic=machine.monotonic, rhythm=rhythm
        )
        heard = Receptions(providers, clock=machine.clock, sleep=machine.sleep, manners=manners)
        given = (artifacts, fetcher, poster, subscriptions(), named, heard)
        parts = parts_of(settings, machine, store, *given, providers)
        await parts.preferences.load()
        await parts.purse.load(store)
        orchestrator = orchestrator_of(parts, providers, group)
        retention = retention_of(parts, orchestrator)
        await _begin(parts, orchestrator, providers, group)
        for house in (parts.pulse.beat, retention.run, parts.sender.run):
            group.start_soon(house)
        group.start_soon(reckoning_of(parts, providers).run)
        stopping = anyio.Event()
        record("server.started", version=__version__, data_dir=str(directory), log=store.log)
        try:
            polls = Polls(group, settings.longpoll_seconds, settings.longpoll_sessions)
            yield _context(parts, orchestrator, retention, polls, stopping, _starter(group))
        finally:
            stopping.set()
            group.cancel_scope.cancel()


async def _begin(
    parts: Parts,
    orchestrator: Orchestrator,
    providers: Mapping[str, Provider],
    group: anyio.abc.TaskGroup,
) -> None:
    """Take every live task into care, and begin to claim, behind doors that open now."""
    machine, backends = parts.machine, parts.backends
    left = await adopt(parts.store, orchestrator, providers, backends)
    queue = (parts.dispatcher, parts.patience)
    waits = Waits(backends, *queue, orchestrator, group, machine.sleep, machine.clock)
    waits.begin()
    backends.start(group, waits.news)
    parts.receptions.start(group)

    async def work() -> None:
        now = machine.clock()
        await take_up(left, orchestrator, providers, backends, parts.policy, now)
        left.clear()
        past = await insist(lambda: parts.store.read.run_times(LEARNT))
        parts.patience.learn(times_of(past))
        await orchestrator.dispatch()

    group.start_soon(work)
    group.start_soon(waits.run)


def _starter(group: anyio.abc.TaskGroup) -> Start:
    def start(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        if not group.cancel_scope.cancel_called:
            group.start_soon(work)

    return start


def _context(
    parts: Parts,
    orchestrator: Orchestrator,
    retention: Retention,
    polls: Polls,
    stopping: anyio.Event,
    start: Start,
) -> Context:
    lanes = Lanes(parts.log, parts.subscriptions)

    def drain() -> None:
        record("server.stopping")
        stopping.set()
        orchestrator.drain()

    return Context(
        settings=parts.settings,
        orchestrator=orchestrator,
        log=parts.log,
        gallery=Gallery(parts.store, parts.log),
        outbox=parts.outbox,
        accounts=Accounts(parts.store, parts.purse, parts.machine.clock),
        subscriptions=parts.subscriptions,
        artifacts=parts.artifacts,
        drawings=parts.drawings,
        uploads=_uploads(parts),
        shelf=Shelf(parts.store, parts.artifacts, parts.settings.public_url),
        backends=parts.backends,
        receptions=parts.receptions,
        patience=parts.patience,
        checks=parts.checks,
        callbacks=parts.callbacks,
        callers=anyio.Semaphore(webhooks.AT_ONCE),
        preferences=parts.preferences,
        registry=parts.registry,
        auth=Authenticator(parts.settings),
        guests=Guests(),
        polls=polls,
        lanes=lanes,
        wheel=Wheel(),
        start=start,
        clock=parts.machine.clock,
        drain=drain,
        draining=stopping.is_set,
        statistics=lambda: _statistics(parts, orchestrator, polls, lanes, retention),
    )


def _uploads(parts: Parts) -> Uploads:
    return Uploads(
        parts.store,
        parts.artifacts,
        max_bytes=parts.settings.max_upload_bytes,
        quota=parts.settings.upload_quota_bytes,
        public_url=parts.settings.public_url,
        clock=parts.machine.clock,
    )


class Counting(Protocol):
    """What has figures for GET /healthz."""

    def statistics(self) -> Mapping[str, object]: ...  # pragma: no cover


def _statistics(parts: Parts, *others: Counting) -> dict[str, object]:
    counting: list[Counting] = [
        parts.backends,
        parts.receptions,
        parts.subscriptions,
        parts.artifacts,
    ]
    counting += [
        parts.production,
        parts.drawings,
        parts.store,
        parts.pulse,
        parts.purse,
        parts.sender,
        *others,
    ]
    return {name: figure for one in counting for name, figure in one.statistics().items()}
