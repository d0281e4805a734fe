"""Replicate's API in front of a real Cog: what Cog has not, and nothing else.

Ids, a queue, polling, a list, keys, deadlines, files at addresses and signed webhooks are
made here; validation, running, logs, cancels, failures and the order of calls are Cog's
own. What is stored is merged (the end stays, logs grow); what is called on is each of Cog's
calls as it came, so that its disorder reaches whoever is called.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import secrets
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import httpx2
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

MODEL = "cog/lantern"
VERSION = "c0" * 32
ENDED = ("succeeded", "failed", "canceled", "aborted")
DEAD = ("UNHEALTHY", "DEFUNCT", "SETUP_FAILED")
SECRET = b"a secret of twenty-four."
KEY = "emulated"
TURN_SECONDS = 0.02
"""Between two tries for Cog's one place: it answers 409 and tells nobody when it is free."""

CANCELS = 20
RETRIES = (0.2, 0.4, 0.8, 1.6)


class Front:
    """`lose_answers` creates are run and never answered; `silent` calls nobody. `runs` is what
    Cog was really asked to run and took, in order; `seen` what it said of each, as it came;
    `begun` is set when one runs.
    With `late` the first thing said of a run is said again after its end."""

    def __init__(self, cog_url: str) -> None:
        self.url = ""
        self.predictions: dict[str, dict[str, Any]] = {}
        self.runs: list[str] = []
        self.begun = threading.Event()
        self.lose_answers = 0
        self.silent = False
        self.late = False
        self.seen: list[tuple[str, str]] = []
        self._hooks: dict[str, tuple[str, list[str]]] = {}
        self._spans: dict[str, float] = {}
        self._files: dict[str, tuple[str, bytes]] = {}
        self._cog = httpx2.AsyncClient(base_url=cog_url, timeout=30.0, trust_env=False)
        self._works: set[asyncio.Task[None]] = set()

    def app(self) -> Starlette:
        """The application; its end is the end of all that it does."""

        @asynccontextmanager
        async def lifespan(app: Starlette) -> AsyncIterator[None]:
            yield
            for work in self._works:
                work.cancel()
            await asyncio.gather(*self._works, return_exceptions=True)
            await self._cog.aclose()

        one = "/v1/predictions/{id}"
        keyed = [
            ("POST", "/v1/predictions", self._create),
            ("POST", f"/v1/models/{MODEL}/predictions", self._create),
            ("GET", "/v1/predictions", self._list),
            ("GET", one, self._get),
            ("POST", f"{one}/cancel", self._cancel),
            ("GET", f"/v1/models/{MODEL}", self._model),
            ("GET", f"/v1/models/{MODEL}/versions/{VERSION}", self._version),
            ("GET", "/v1/webhooks/default/secret", self._secret),
            ("GET", "/v1/account", self._account),
        ]
        routes = [Route(path, _keyed(do), methods=[method]) for method, path, do in keyed]
        routes += [
            Route("/cog/{id}", self._told, methods=["POST"]),
            Route("/upload/{name}", self._upload, methods=["PUT"]),
            Route("/made/{key}/{name}", self._made),
        ]
        return Starlette(routes=routes, lifespan=lifespan)

    async def _create(self, request: Request) -> Response:
        body = await request.json()
        id = secrets.token_hex(13)
        self._hooks[id] = (body.get("webhook", ""), body.get("webhook_events_filter") or ["all"])
        span = request.headers.get("cancel-after")
        self._spans[id] = time.monotonic() + (_seconds(span) if span else 3600.0)
        self.predictions[id] = {
            "id": id,
            "model": MODEL,
            "version": VERSION if "version" in body else "hidden",
            "input": body["input"],
            "output": None,
            "error": None,
            "logs": "",
            "status": "starting",
            "data_removed": False,
            "created_at": _now(),
            "started_at": None,
            "completed_at": None,
            "urls": {
                "get": f"{self.url}/v1/predictions/{id}",
                "cancel": f"{self.url}/v1/predictions/{id}/cancel",
            },
        }
        refused = await self._put(id)
        if refused is not None and refused.status_code == 422:
            del self.predictions[id]
            return _invalid(refused.json()["detail"])
        self._spawn(self._watch(id, waits=refused is not None))
        if self.lose_answers:
            self.lose_answers -= 1
            return _Lost()
        if "prefer" in request.headers:
            await self._ended(id, 20.0)
        return JSONResponse(self.predictions[id], 201)

    async def _put(self, id: str) -> httpx2.Response | None:
        """Ask Cog to run it; None when it does, else what it says."""
        order = {
            "input": self.predictions[id]["input"],
            "webhook": f"{self.url}/cog/{id}",
            "webhook_events_filter": ["start", "output", "logs", "completed"],
        }
        # Before it is asked: Cog's first call may come before its answer.
        self.runs.append(id)
        headers = {"prefer": "respond-async"}
        answer = await self._cog.put(f"/predictions/{id}", json=order, headers=headers)
        if answer.status_code == 202:
            self.begun.set()
            return None
        self.runs.remove(id)
        return answer

    async def _watch(self, id: str, waits: bool) -> None:
        """Wait for a place, watch the deadline and whether Cog is still there."""
        try:
            while self.predictions[id]["status"] not in ENDED:
                await asyncio.sleep(TURN_SECONDS)
                late = time.monotonic() > self._spans[id]
                if waits and late:
                    await self._merge(id, {"status": "aborted"})
                elif waits:
                    waits = await self._put(id) is not None
                    if waits and await self._health() in DEAD:
                        error = "the worker of the model is gone"
                        await self._merge(id, {"status": "failed", "error": error})
                elif late:
                    await self._cog.post(f"/predictions/{id}/cancel")
                else:
                    await self._health()
        except httpx2.TransportError:
            error = "the host of the model is gone"
            self._keep(id, {"status": "failed", "error": error})  # and nobody is called

    async def _health(self) -> str:
        return str((await self._cog.get("/health-check")).json()["status"])

    async def _told(self, request: Request) -> Response:
        """A call of Cog's: a whole snapshot, without a name, in no order."""
        told = await request.json()
        self.seen.append((told["id"], told["status"]))
        await self._merge(request.path_params["id"], told)
        return Response()

    async def _merge(self, id: str, told: dict[str, Any]) -> None:
        self._keep(id, told)
        body = json.dumps(self.predictions[id] | told).encode()
        url, events = self._hooks[id]
        event = "completed" if told["status"] in ENDED else "logs" if told.get("logs") else "start"
        if url and not self.silent and {"all", event} & set(events):
            self._spawn(self._call(url, body, event == "completed"))
            if self.late and event == "completed":
                again = json.dumps(self.predictions[id] | {"status": "processing", "logs": ""})
                self._spawn(self._call(url, again.encode(), False, after=0.1))

    def _keep(self, id: str, told: dict[str, Any]) -> None:
        kept = self.predictions[id]
        if kept["status"] in ENDED:
            return
        if len(told.get("logs", "")) < len(kept["logs"]):
            told = {name: value for name, value in told.items() if name != "logs"}
        kept |= told
        if kept["status"] == "processing" or told.get("metrics"):
            kept["started_at"] = kept["started_at"] or _now()
        if kept["status"] in ENDED:
            kept["completed_at"] = _now()

    async def _call(self, url: str, body: bytes, last: bool, after: float = 0.0) -> None:
        id, at = f"msg_{secrets.token_hex(8)}", str(int(time.time()))
        mac = hmac.digest(SECRET, f"{id}.{at}.".encode() + body, hashlib.sha256)
        signed = {"webhook-signature": f"v1,{base64.b64encode(mac).decode()}"}
        headers = {"content-type": "application/json", "webhook-id": id, "webhook-timestamp": at}
        async with httpx2.AsyncClient(timeout=10.0, trust_env=False) as client:
            for pause in (after, *RETRIES):
                await asyncio.sleep(pause)
                try:
                    answer = await client.post(url, content=body, headers=headers | signed)
                    if answer.is_success or not last:
                        return
                except httpx2.TransportError:
                    if not last:
                        return

    async def _get(self, request: Request) -> Response:
        found = self.predictions.get(request.path_params["id"])
        return JSONResponse(found or {"detail": "Not found", "status": 404}, 200 if found else 404)

    async def _list(self, request: Request) -> Response:
        after = request.query_params.get("created_after", "")
        found = [p for p in reversed(self.predictions.values()) if p["created_at"] >= after]
        return JSONResponse({"previous": None, "next": None, "results": found})

    async def _cancel(self, request: Request) -> Response:
        id = request.path_params["id"]
        if id in self.runs:
            # Cog answers 200 to a cancel that comes as the run begins, and forgets it.
            for _ in range(CANCELS):
                if self.predictions[id]["status"] in ENDED:
                    break
                await self._cog.post(f"/predictions/{id}/cancel")
                await self._ended(id, 0.5)
        else:
            await self._merge(id, {"status": "canceled"})
        return JSONResponse(self.predictions[id])

    async def _ended(self, id: str, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.predictions[id]["status"] not in ENDED and time.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(TURN_SECONDS)

    async def _model(self, request: Request) -> Response:
        owner, name = MODEL.split("/")
        told = {"owner": owner, "name": name, "url": f"{self.url}/{MODEL}", "run_count": 0}
        told |= {"visibility": "public", "latest_version": await self._described()}
        return JSONResponse(told)

    async def _version(self, request: Request) -> Response:
        return JSONResponse(await self._described())

    async def _described(self) -> dict[str, Any]:
        schema = (await self._cog.get("/openapi.json")).json()
        told = {"id": VERSION, "created_at": _now(), "cog_version": "0.23.1"}
        return told | {"openapi_schema": schema}

    async def _secret(self, request: Request) -> Response:
        return JSONResponse({"key": f"whsec_{base64.b64encode(SECRET).decode()}"})

    async def _account(self, request: Request) -> Response:
        return JSONResponse({"type": "user", "username": "emulated"})

    async def _upload(self, request: Request) -> Response:
        """Cog names every file alike; an address of its own makes each unique."""
        path = f"/made/{secrets.token_hex(8)}/{request.path_params['name']}"
        self._files[path] = (request.headers["content-type"], await request.body())
        return Response(headers={"location": self.url + path})

    async def _made(self, request: Request) -> Response:
        media_type, content = self._files[request.url.path]
        return Response(content, media_type=media_type)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._works.add(task)
        task.add_done_callback(self._works.discard)


class _Lost(Response):
    """No answer: the connection ends."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        send.__self__.transport.abort()
        while (await receive())["type"] != "http.disconnect":
            pass


def _keyed(do: Any) -> Any:
    async def keyed(request: Request) -> Response:
        if request.headers.get("authorization") != f"Bearer {KEY}":
            told = {"title": "Unauthenticated", "detail": "No valid token", "status": 401}
            return JSONResponse(told, 401)
        return await do(request)

    return keyed


def _invalid(detail: list[dict[str, Any]]) -> Response:
    """Cog's refusal as Replicate words it."""
    fields = [
        {
            "type": "required" if each["type"].endswith("missing") else each["type"],
            "field": ".".join(each["loc"][1:]),
            "description": each["msg"],
        }
        for each in detail
    ]
    lines = "".join(f"- {each['field']}: {each['description']}\n" for each in fields)
    told = {"title": "Input validation failed", "status": 422, "detail": lines}
    return JSONResponse(told | {"invalid_fields": fields}, 422)


def _seconds(span: str) -> float:
    """`5s`, `2m` or a bare number."""
    return float(span.rstrip("ms")) * (60 if span.endswith("m") else 1)


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
