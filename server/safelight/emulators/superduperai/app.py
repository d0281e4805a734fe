"""The routes: files and what makes them, what there is to choose from, and the user.

Every request needs the key; errors have FastAPI's shape. What its backend really answers
to some of the faults is known to nobody outside: docs/emulators.md says which are guesses.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from email import message_from_bytes
from email.message import Message
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute

from ..bench import Bench
from ..gate import Cut, Silence
from .creates import Creates, Denied
from .forms import Invalid, Page, read_page
from .hub import Hub
from .lines import Lines, may_enter
from .prices import OFFERS, STYLES
from .shelf import File, IntegrityError, Shelf, fresh

ROOT = "/api/v1"
Answer = Callable[[Request], Awaitable[Response]]

CHANCE = ("lost-answer", "http-500", "http-503", "throttle")
ARMED = ("hang", "unauthorized")
"""What goes wrong with a request that is no create, also by chance or only when asked for."""


class Desk:
    """Answers everything but creates."""

    def __init__(self, bench: Bench, shelf: Shelf, creates: Creates) -> None:
        self._bench = bench
        self._shelf = shelf
        self._creates = creates

    async def configs(self, request: Request) -> Response:
        """GET /generation-config"""
        page = read_page(request.query_params)
        names = sorted(OFFERS, reverse=page.order == "descendent")
        return _paged([msgspec.to_builtins(OFFERS[name]) for name in names], page)

    async def styles(self, request: Request) -> Response:
        """GET /style"""
        page = read_page(request.query_params)
        rows: list[dict[str, Any]] = [
            {"name": name, "title": title, "thumbnail": None, "tags": []}
            for name, title in STYLES.items()
        ]
        return _paged(rows, page)

    async def me(self, request: Request) -> Response:
        """GET /user/me"""
        user = self._creates.user
        told = {"sub": user.id, "nickname": "emulated", "email": "emulated@example.org"}
        more = {"balance": float(user.balance), "vip": user.vip, "admin": False, "id": user.id}
        return JSONResponse(told | more)

    async def files(self, request: Request) -> Response:
        """GET /file"""
        page = read_page(request.query_params)
        newest_first = page.order == "descendent"
        found = self._shelf.list(list(page.types), newest_first, **page.where)
        return _paged([file.read() for file in found], page)

    async def file(self, request: Request) -> Response:
        """GET and DELETE /file/{id}"""
        id = request.path_params["id"]
        found = self._shelf.find(id)
        if request.method == "DELETE":
            found = self._shelf.remove(id)
        if found is None:
            return _detail(404, "Not found")
        return JSONResponse(found.read())

    async def upload(self, request: Request) -> Response:
        """POST /file/upload: one part, `payload`."""
        head = f"content-type: {request.headers.get('content-type', '')}\r\n\r\n"
        form = message_from_bytes(head.encode() + await request.body())
        payload = next((part for part in form.walk() if _name(part) == "payload"), None)
        data = None if payload is None else payload.get_payload(decode=True)
        if payload is None or not isinstance(data, bytes):
            missing = {"type": "missing", "loc": ["body", "payload"], "msg": "Field required"}
            return _detail(422, [missing])
        media_type = payload.get_content_type()
        kind = media_type.partition("/")[0]
        file = File(
            id=fresh(),
            type=kind if kind in ("image", "video", "audio") else "other",
            created_at=self._bench.now(),
            user_id=self._creates.user.id,
            project_id=request.query_params.get("project_id"),
            media_type=media_type,
            data=data,
        )
        file.url = f"{self._bench.address}/media/{file.id}"
        self._shelf.add(file)
        return JSONResponse(file.read())

    async def media(self, request: Request) -> Response:
        """GET /media/{name}: a storage that asks nobody who they are."""
        found = self._shelf.find(request.path_params["name"].partition(".")[0])
        if found is None or found.url is None:
            return Response("<Error><Code>NoSuchKey</Code></Error>", 404)
        return Response(found.data, media_type=found.media_type)


def app(bench: Bench) -> Starlette:
    """The application."""
    hub, shelf = Hub(), Shelf()
    creates = Creates(bench, hub, shelf)
    desk, lines = Desk(bench, shelf, creates), Lines(bench, hub)

    def route(path: str, place: str, answer: Answer, methods: Sequence[str] = ("GET",)) -> Route:
        return Route(f"{ROOT}{path}", _guarded(bench, place, answer), methods=list(methods))

    routes: list[BaseRoute] = [
        route("/generation-config", "config", desk.configs),
        route("/style", "config", desk.styles),
        route("/user/me", "user", desk.me),
        route("/file", "list", desk.files),
        route("/file/upload", "upload", desk.upload, ["POST"]),
        route("/file/generate-image", "create", creates.image, ["POST"]),
        route("/file/generate-video", "create", creates.video, ["POST"]),
        route("/file/{id}", "get", desk.file, ["GET", "DELETE"]),
        route("/events/{channel}", "events", lines.events),
        WebSocketRoute(f"{ROOT}/ws/{{channel}}", lines.socket),
        Route("/media/{name}", _media(bench, desk.media)),
    ]
    return Starlette(routes=routes)


def _guarded(bench: Bench, place: str, answer: Answer) -> Answer:
    """With the key asked for, the faults of its place, and refusals in FastAPI's shape."""

    async def guarded(request: Request) -> Response:
        if not may_enter(request.headers.get("authorization"), bench.key):
            return _detail(401, "Unauthorized")
        gone_wrong = None
        if place != "create":
            gone_wrong = bench.faults.one_of(*CHANCE, on=place, armed=ARMED)
        if gone_wrong is not None:
            return failing(gone_wrong.name, gone_wrong.seconds(1.0))
        try:
            return await answer(request)
        except Invalid as invalid:
            return _detail(422, invalid.detail)
        except IntegrityError:
            return _detail(409, "Integrity error, create")
        except Denied as denied:
            return failing(denied.fault, denied.seconds)

    return guarded


def _media(bench: Bench, answer: Answer) -> Answer:
    async def media(request: Request) -> Response:
        fault = bench.faults.one_of("http-500", "http-503", on="file")
        return failing(fault.name, 1.0) if fault is not None else await answer(request)

    return media


def failing(fault: str, seconds: float) -> Response:
    """The answer that a fault makes, or none."""
    match fault:
        case "lost-answer" | "lost-request":
            return Cut()
        case "hang":
            return Silence()
        case "throttle":
            wait = {"retry-after": f"{max(1, round(seconds))}"}
            return JSONResponse({"detail": "Too Many Requests"}, 429, wait)
        case "http-500":
            return Response("Internal Server Error", 500, media_type="text/plain")
        case "http-503":
            return Response("<html>503 Service Unavailable</html>", 503, media_type="text/html")
    status, detail = REFUSALS[fault]
    return _detail(status, detail)


REFUSALS = {
    "unauthorized": (401, "Unauthorized"),
    "no-credit": (402, "Insufficient balance"),
    "no-vip": (403, "VIP access required"),
    "moderated": (400, "Prompt violates content policy"),
    "unknown": (404, "Generation config not found"),
    "integrity": (409, "Integrity error, create"),
}


def _name(part: Message) -> object:
    """Of which field of a form this part is."""
    return part.get_param("name", header="content-disposition")


def _detail(status: int, detail: Any) -> Response:
    return JSONResponse({"detail": detail}, status)


def _paged(rows: Sequence[object], page: Page) -> Response:
    shown = rows[page.offset : page.offset + page.limit]
    after = page.offset + page.limit
    following = {"offset": after, "limit": page.limit} if after < len(rows) else None
    told = {"items": shown, "total": len(rows), "limit": page.limit, "offset": page.offset}
    return JSONResponse(told | {"next": following})
