"""The composition root: builds the parts, wires them, and starts and stops them.

Nothing here decides anything. The one task group of the process lives in `running`;
the application's lifespan is exactly the time inside it.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute

from safelight_protocol.codes import Refused

from . import __version__
from .admission import Admission
from .artifacts import ArtifactStore
from .dispatch import Dispatcher
from .edges import batch, follow, llm, pictures, tasks
from .edges.auth import Authenticator
from .edges.bodies import answer
from .edges.context import Context, Start, context_of
from .edges.guests import Guests
from .edges.hot import App
from .edges.lanes import Lanes
from .edges.longpoll import longpoll
from .edges.polls import Polls
from .edges.problems import HANDLERS
from .edges.socket import socket
from .edges.studio import studio_routes
from .edges.wheel import Wheel
from .gallery import Gallery
from .ids import uuid7
from .log import Log
from .machine import Machine
from .orchestrator import Orchestrator
from .production import Production
from .providers.base import Provider
from .providers.local import Local
from .providers.scripted import Scripted
from .pulse import Pulse
from .recovery import adopt, take_up
from .registry import Registry
from .retention import Retention, Rules
from .retry import Dice, RetryPolicy
from .settings import Settings
from .store import Store, open_store
from .subscriptions import Subscriptions
from .telemetry import log as record


def providers_of(settings: Settings) -> dict[str, Provider]:
    """The providers that the settings configure."""
    providers: dict[str, Provider] = {
        "local": Local(settings.local_concurrency, settings.local_pace_seconds)
    }
    if settings.scripted:
        providers["scripted"] = Scripted()
    return providers


OpenStore = Callable[[Path, int], AbstractAsyncContextManager[Store]]
"""How the store in a directory is opened, at a time."""


def create_app(
    settings: Settings,
    providers: Mapping[str, Provider] | None = None,
    opened: OpenStore = open_store,
    subscriptions: Callable[[], Subscriptions] = Subscriptions,
) -> Starlette:
    """The ASGI application. `providers` replaces the configured ones, `opened` the way
    the store is opened, and `subscriptions` who wakes the followers: a test may put
    trouble between."""
    chosen = dict(providers) if providers is not None else providers_of(settings)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with running(settings, chosen, opened, subscriptions) as context:
            app.state.context = context
            yield

    return App(routes=ROUTES, lifespan=lifespan, exception_handlers=HANDLERS)


class Parts(msgspec.Struct, frozen=True):
    """The parts that need nothing but the store, the settings and each other."""

    settings: Settings
    machine: Machine
    store: Store
    artifacts: ArtifactStore
    log: Log
    subscriptions: Subscriptions
    registry: Registry
    dispatcher: Dispatcher
    policy: RetryPolicy
    pulse: Pulse


@asynccontextmanager
async def running(
    settings: Settings,
    providers: Mapping[str, Provider],
    opened: OpenStore = open_store,
    subscriptions: Callable[[], Subscriptions] = Subscriptions,
    machine: Machine | None = None,
    files: Callable[[Path, int], ArtifactStore] = ArtifactStore,
) -> AsyncIterator[Context]:
    """Everything behind the doors, started and recovered; stopped at exit. With another
    `machine`, `opened` and `files` it takes nothing from this one."""
    directory, machine = Path(settings.data_dir), machine or Machine()
    artifacts = files(directory / "artifacts", settings.max_artifact_bytes)
    async with AsyncExitStack() as stack:
        store = await stack.enter_async_context(opened(directory, machine.clock()))
        await artifacts.open()
        for provider in providers.values():
            await stack.enter_async_context(provider.open())
        group = await stack.enter_async_context(anyio.create_task_group())
        parts = _parts(settings, machine, store, artifacts, subscriptions(), frozenset(providers))
        orchestrator = _orchestrator(parts, providers, group)
        left = await adopt(store, orchestrator, providers)

        async def work() -> None:
            await take_up(left, orchestrator, providers, parts.policy, machine.clock())
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
    subscriptions: Subscriptions,
    configured: frozenset[str],
) -> Parts:
    return Parts(
        settings=settings,
        machine=machine,
        store=store,
        artifacts=artifacts,
        log=Log(store, settings.tail_events),
        subscriptions=subscriptions,
        registry=Registry.load(configured),
        dispatcher=Dispatcher({"local": settings.local_concurrency}),
        policy=RetryPolicy(
            attempts=settings.attempts,
            losses=settings.max_losses,
            base_seconds=settings.retry_base_seconds,
            max_seconds=settings.retry_max_seconds,
        ),
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
        production=Production(parts.artifacts, parts.subscriptions, settings.public_url),
        admission=_admission(parts),
        providers=providers,
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
        statistics=lambda: {
            **orchestrator.statistics(),
            **parts.subscriptions.statistics(),
            **parts.artifacts.statistics(),
            **parts.store.statistics(),
            **parts.pulse.statistics(),
            **polls.statistics(),
            **lanes.statistics(),
            **retention.statistics(),
        },
    )


async def healthz(request: Request) -> Response:
    """GET /healthz: the process answers; with what it counts."""
    context = context_of(request)
    return answer({"version": __version__, "statistics": context.statistics()}, "alive")


async def readyz(request: Request) -> Response:
    """GET /readyz: recovered, able to read its database, and not going down."""
    context = context_of(request)
    if context.draining():
        raise Refused("shutting_down", "The server is going down.")
    await context.gallery.check()
    return answer({"version": __version__}, "ready")


ROUTES = [
    Route("/api/tasks", tasks.create, methods=["POST"]),
    Route("/api/tasks", tasks.index, methods=["GET"]),
    Route("/api/tasks:batch", batch.create, methods=["POST"]),
    Route("/api/tasks/{id}", tasks.show, methods=["GET"]),
    Route("/api/tasks/{id}", tasks.delete, methods=["DELETE"]),
    Route("/api/tasks/{id}/events", follow.events, methods=["GET"]),
    Route("/api/tasks/{id}/cancel", tasks.cancel, methods=["POST"]),
    Route("/api/models", tasks.models, methods=["GET"]),
    Route("/api/llm/generate", llm.generate, methods=["POST"]),
    Route("/api/llm/models", llm.models, methods=["GET"]),
    Route("/api/artifacts/{id}", pictures.artifact, methods=["GET"]),
    Route("/api/previews/{token}", pictures.preview, methods=["GET"]),
    Route("/healthz", healthz),
    Route("/readyz", readyz),
    WebSocketRoute("/socket/websocket", socket),
    Route("/socket/longpoll", longpoll, methods=["GET", "POST", "OPTIONS"]),
    *studio_routes(),
]
