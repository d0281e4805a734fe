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
import msgspec
from starlette.applications import Starlette

from . import __version__
from .admission import Admission
from .artifacts import ArtifactStore
from .backends import Backend, Directory, Rhythm
from .configured import artifacts_of, backends_of, places_of, providers_of
from .dispatch import Dispatcher
from .drawings import Drawings
from .edges.auth import Authenticator
from .edges.context import Context, Start
from .edges.guests import Guests
from .edges.hot import App
from .edges.lanes import Lanes
from .edges.polls import Polls
from .edges.problems import HANDLERS
from .edges.routes import ROUTES
from .edges.wheel import Wheel
from .fetches import Fetches, Tries
from .fetching import Fetcher
from .gallery import Gallery
from .ids import uuid7
from .log import Log
from .machine import Machine
from .orchestrator import Orchestrator
from .preferences import Preferences
from .production import Production
from .providers.base import Provider
from .pulse import Pulse
from .recovery import adopt, take_up
from .registry import Places, Registry
from .retention import Retention, Rules
from .retry import Dice, RetryPolicy
from .settings import Settings
from .shelf import Shelf
from .store import Store, open_store
from .subscriptions import Subscriptions, tasks_of
from .telemetry import log as record
from .uploads import Uploads
from .waits import Waits

OpenStore = Callable[[Path, int], AbstractAsyncContextManager[Store]]
"""How the store in a directory is opened, at a time."""


def create_app(
    settings: Settings,
    providers: Mapping[str, Provider] | None = None,
    opened: OpenStore = open_store,
    subscriptions: Callable[[], Subscriptions] = Subscriptions,
    backends: Mapping[str, Backend] | None = None,
    rhythm: Rhythm | None = None,
) -> Starlette:
    """The ASGI application. `providers` and `backends` replace the configured ones, `opened`
    the way the store is opened, and `subscriptions` who wakes the followers: a test may put
    trouble between. `rhythm` says when backends are asked how they are."""
    named = backends_of(settings) if backends is None else backends
    chosen = dict(providers) if providers is not None else providers_of(settings, named)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        given = running(settings, chosen, opened, subscriptions, backends=named, rhythm=rhythm)
        async with given as context:
            app.state.context = context
            yield

    return App(routes=ROUTES, lifespan=lifespan, exception_handlers=HANDLERS)


class Parts(msgspec.Struct, frozen=True):
    """The parts that need nothing but the store, the settings and each other."""

    settings: Settings
    machine: Machine
    store: Store
    artifacts: ArtifactStore
    backends: Directory
    preferences: Preferences
    log: Log
    subscriptions: Subscriptions
    registry: Registry
    dispatcher: Dispatcher
    production: Production
    drawings: Drawings
    policy: RetryPolicy
    pulse: Pulse


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
) -> AsyncIterator[Context]:
    """Everything behind the doors, started and recovered; stopped at exit. With another
    `machine`, `opened` and `files` it takes nothing from this one."""
    directory, machine = Path(settings.data_dir), machine or Machine()
    artifacts = files(settings)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(directory, machine.clock()))
        await artifacts.open()
        for provider in providers.values():
            await stack.enter_async_context(provider.open())
        fetcher = Fetcher(artifacts, settings.fetch_seconds)
        await stack.enter_async_context(fetcher.open())
        group = await stack.enter_async_context(anyio.create_task_group())
        named = Directory(
            backends or {}, clock=machine.clock, monotonic=machine.monotonic, rhythm=rhythm
        )
        given = (artifacts, fetcher, subscriptions(), named)
        parts = _parts(settings, machine, store, *given, frozenset(providers))
        await parts.preferences.load()
        orchestrator = _orchestrator(parts, providers, group)
        left = await adopt(store, orchestrator, providers, named)
        waits = Waits(named, parts.dispatcher, orchestrator, group, machine.sleep)
        waits.begin()
        named.start(group, waits.news)

        async def work() -> None:
            now = machine.clock()
            await take_up(left, orchestrator, providers, named, parts.policy, now)
            left.clear()
            await orchestrator.dispatch()

        group.start_soon(work)
        group.start_soon(parts.pulse.beat)
        retention = _retention(parts, orchestrator)
        group.start_soon(retention.run)
        stopping = anyio.Event()
        record("server.started", version=__version__, data_dir=str(directory), log=store.log)
        try:
            polls = Polls(group, settings.longpoll_seconds, settings.longpoll_sessions)
            yield _context(parts, orchestrator, retention, polls, stopping, _starter(group))
        finally:
            stopping.set()
            group.cancel_scope.cancel()


def _parts(
    settings: Settings,
    machine: Machine,
    store: Store,
    artifacts: ArtifactStore,
    fetcher: Fetcher,
    subscriptions: Subscriptions,
    backends: Directory,
    configured: frozenset[str],
) -> Parts:
    def tell(owner: str) -> None:
        subscriptions.wake(tasks_of(owner))

    policy = RetryPolicy(
        attempts=settings.attempts,
        losses=settings.max_losses,
        base_seconds=settings.retry_base_seconds,
        max_seconds=settings.retry_max_seconds,
    )
    tries = Tries(
        most=settings.fetch_tries,
        pause=lambda tries: policy.pause(tries - 1, machine.share()),
        sleep=machine.sleep,
    )
    fetches = Fetches(store, fetcher, tries, machine.clock)
    return Parts(
        settings=settings,
        machine=machine,
        store=store,
        artifacts=artifacts,
        backends=backends,
        preferences=Preferences(store, backends, tell),
        log=Log(store, settings.tail_events),
        subscriptions=subscriptions,
        registry=Registry.load(
            configured,
            places=Places({one.name: one.type for one in backends}, settings.default_backend),
            own=settings.models_file,
            clock=machine.clock,
        ),
        dispatcher=Dispatcher(places_of(settings)),
        production=Production(
            artifacts, subscriptions, settings.public_url, fetches, png_text=settings.png_text
        ),
        drawings=Drawings(store, artifacts),
        policy=policy,
        pulse=Pulse(machine.sleep, machine.monotonic),
    )


def _orchestrator(
    parts: Parts, providers: Mapping[str, Provider], group: anyio.abc.TaskGroup
) -> Orchestrator:
    settings = parts.settings
    return Orchestrator(
        store=parts.store,
        log=parts.log,
        subscriptions=parts.subscriptions,
        production=parts.production,
        admission=_admission(parts),
        providers=providers,
        backends=parts.backends,
        dispatcher=parts.dispatcher,
        policy=parts.policy,
        attempt_seconds=settings.attempt_timeout_seconds,
        cancel_seconds=settings.cancel_timeout_seconds,
        task_seconds=settings.task_timeout_seconds,
        clock=parts.machine.clock,
        dice=Dice(parts.machine.share, parts.machine.seed),
        group=group,
    )


def _admission(parts: Parts) -> Admission:
    return Admission(
        store=parts.store,
        registry=parts.registry,
        artifacts=parts.artifacts,
        backends=parts.backends,
        preferences=parts.preferences,
        check_seconds=parts.settings.backend_check_seconds,
        queues=parts.settings.unreachable == "queue",
        reason=parts.dispatcher.reason,
        mint=lambda now: uuid7(now, parts.machine.token),
        draw_seed=parts.machine.seed,
        clock=parts.machine.clock,
    )


def _retention(parts: Parts, orchestrator: Orchestrator) -> Retention:
    return Retention(
        store=parts.store,
        log=parts.log,
        artifacts=parts.artifacts,
        expire=orchestrator.expire,
        rules=Rules(
            log_seconds=parts.settings.log_retention_seconds,
            task_seconds=parts.settings.task_retention_seconds,
            artifact_seconds=parts.settings.artifact_retention_seconds,
            upload_seconds=parts.settings.upload_retention_seconds,
        ),
        clock=parts.machine.clock,
        sleep=parts.machine.sleep,
        monotonic=parts.machine.monotonic,
    )


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
        subscriptions=parts.subscriptions,
        artifacts=parts.artifacts,
        drawings=parts.drawings,
        uploads=Uploads(
            parts.store,
            parts.artifacts,
            max_bytes=parts.settings.max_upload_bytes,
            quota=parts.settings.upload_quota_bytes,
            public_url=parts.settings.public_url,
            clock=parts.machine.clock,
        ),
        shelf=Shelf(parts.store, parts.artifacts, parts.settings.public_url),
        backends=parts.backends,
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


class Counting(Protocol):
    """What has figures for GET /healthz."""

    def statistics(self) -> Mapping[str, object]: ...  # pragma: no cover


def _statistics(parts: Parts, *others: Counting) -> dict[str, object]:
    counting: list[Counting] = [parts.backends, parts.subscriptions, parts.artifacts]
    counting += [parts.production, parts.drawings, parts.store, parts.pulse, *others]
    return {name: figure for one in counting for name, figure in one.statistics().items()}
