"""The application: every route with its key, and the faults that any request may meet."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from ..bench import Bench
from ..gate import Cut, Silence
from .answers import Problem, not_found, throttled, trouble, unauthenticated
from .catalog import Catalog
from .creating import Creating
from .files import Files
from .hooks import Hooks
from .reading import Predictions
from .running import Runs
from .store import Store

Handler = Callable[[Request], Awaitable[Response]]
Row = tuple[str, str, Handler, str]
CHANCES = ("http-500", "http-503", "throttle", "lost-answer", "lost-request")


def create_app(bench: Bench) -> Starlette:
    """The application of one bench."""
    store, hooks = Store(), Hooks(bench)
    runs = Runs(bench, store, hooks)
    files = Files(bench, store)
    predictions = Predictions(bench, store, runs)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        await hooks.close()

    async def unknown(request: Request, error: Exception) -> Response:
        return not_found().response()

    rows = [
        *_creates(Creating(bench, runs)),
        *_reads(predictions, files),
        *_facts(Catalog(bench, hooks)),
    ]
    open_rows: list[Row] = [
        ("GET", "/delivery/{token}/{name}", files.made, "file"),
        ("GET", "/stream/{id}", predictions.stream, "stream"),
        ("GET", "/v1/files/{id}/download", files.download, "file"),
    ]
    routes: list[BaseRoute] = [
        Route(path, _guarded(handler, bench, place, keyed=False), methods=[method])
        for method, path, handler, place in open_rows
    ]
    for method, path, handler, place in rows:
        guarded = _guarded(handler, bench, place, keyed=True)
        routes.append(Route(f"/v1{path}", guarded, methods=[method]))
    app = Starlette(
        routes=routes, exception_handlers={404: unknown, 405: unknown}, lifespan=lifespan
    )
    app.router.redirect_slashes = False
    return app


def _creates(creating: Creating) -> list[Row]:
    return [
        ("POST", "/predictions", creating.by_version, "create"),
        ("POST", "/models/{owner}/{name}/predictions", creating.by_model, "create"),
        ("POST", "/deployments/{owner}/{name}/predictions", creating.by_deployment, "create"),
    ]


def _reads(predictions: Predictions, files: Files) -> list[Row]:
    return [
        ("GET", "/predictions", predictions.many, "list"),
        ("GET", "/predictions/{id}", predictions.one, "get"),
        ("POST", "/predictions/{id}/cancel", predictions.cancel, "cancel"),
        ("POST", "/files", files.create, "upload"),
        ("GET", "/files", files.many, "files"),
        ("GET", "/files/{id}", files.one, "files"),
        ("DELETE", "/files/{id}", files.one, "files"),
    ]


def _facts(catalog: Catalog) -> list[Row]:
    return [
        ("GET", "/models", catalog.models, "models"),
        ("QUERY", "/models", catalog.models, "models"),
        ("GET", "/search", catalog.search, "models"),
        ("GET", "/models/{owner}/{name}", catalog.model, "model"),
        ("GET", "/models/{owner}/{name}/versions", catalog.versions, "model"),
        ("GET", "/models/{owner}/{name}/versions/{id}", catalog.version, "model"),
        ("GET", "/deployments", catalog.deployments, "models"),
        ("GET", "/deployments/{owner}/{name}", catalog.deployment, "model"),
        ("GET", "/hardware", catalog.hardware, "account"),
        ("GET", "/account", catalog.account, "account"),
        ("GET", "/webhooks/default/secret", catalog.secret, "secret"),
    ]


def _guarded(handler: Handler, bench: Bench, place: str, *, keyed: bool) -> Handler:
    """The handler behind its key and its faults; a create has faults of its own."""

    async def guarded(request: Request) -> Response:
        try:
            if keyed and not _is_ours(request, bench.key):
                raise unauthenticated()
            if place == "create":
                return await handler(request)
            return await _faulty(handler, request, bench, place)
        except Problem as problem:
            return problem.response()

    return guarded


async def _faulty(handler: Handler, request: Request, bench: Bench, place: str) -> Response:
    fault = bench.faults.one_of(*CHANCES, on=place, armed=("hang", "unauthorized"))
    match fault.name if fault else "":
        case "hang":
            return Silence()
        case "unauthorized":
            raise unauthenticated()
        case "http-500" | "http-503" as name:
            raise trouble(int(name[-3:]))
        case "throttle":
            raise throttled(fault.seconds(1.0) if fault else 1.0)
        case "lost-request":
            return Cut()
        case "lost-answer":
            await handler(request)
            return Cut()
    return await handler(request)


def _is_ours(request: Request, key: str) -> bool:
    """Both schemes are taken, the older one as well."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    same = hmac.compare_digest(given.strip().encode(), key.encode())
    return scheme.lower() in ("bearer", "token") and same
