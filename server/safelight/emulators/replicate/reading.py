"""What became of predictions: one by one, in pages, cut off, and as streams of events."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse

from ..bench import Bench
from ..gate import cut
from .answers import invalid, not_found
from .running import Runs
from .store import PAGE, TERMINAL, Prediction, Store

CUT_AFTER = 2
"""How many events a stream that will be cut has sent."""


class Cursor(msgspec.Struct, frozen=True):
    """Where a page begins: a span of time, and how many newer ones in it come before."""

    after: float
    before: float
    at: int = 0


class Predictions:
    """What became of them."""

    def __init__(self, bench: Bench, store: Store, runs: Runs) -> None:
        self._bench = bench
        self._store = store
        self._runs = runs

    async def one(self, request: Request) -> Response:
        """GET /predictions/{id}."""
        return self._told(self._found(request))

    async def cancel(self, request: Request) -> Response:
        """POST /predictions/{id}/cancel."""
        prediction = self._found(request)
        fault = self._bench.faults.strikes("late", "cancel")
        if fault is not None:
            self._bench.background(self._later(prediction, fault.seconds(1.0)))
            return self._told(prediction)
        self._runs.cancel(prediction)
        if prediction.verdict is not None:
            await prediction.over.wait()
        return self._told(prediction)

    async def many(self, request: Request) -> Response:
        """GET /predictions, newest first, a hundred a page."""
        query = request.query_params
        # A page goes on where the one before ended, however many were made since.
        place = _cursor(query.get("cursor")) or Cursor(
            _when("created_after", query.get("created_after"), 0.0),
            _when("created_before", query.get("created_before"), self._bench.now() + 1e-6),
        )
        found, more = self._store.page(place.after, place.before, place.at)
        now = self._bench.now()

        def link(at: int) -> str:
            cursor = msgspec.json.encode(Cursor(place.after, place.before, at))
            token = base64.urlsafe_b64encode(cursor).decode()
            return f"{self._bench.address}/v1/predictions?cursor={token}"

        return JSONResponse(
            {
                "previous": link(max(0, place.at - PAGE)) if place.at else None,
                "next": link(place.at + PAGE) if more else None,
                "results": [each.told(self._bench.address, now) for each in found],
            }
        )

    async def stream(self, request: Request) -> Response:
        """GET the address in `urls.stream`: output and end as events."""
        prediction = self._store.predictions.get(request.path_params["id"])
        if prediction is None or not prediction.streams:
            raise not_found()
        return StreamingResponse(self._events(request, prediction), media_type="text/event-stream")

    async def _events(self, request: Request, prediction: Prediction) -> AsyncIterator[str]:
        yield ": the stream begins\n\n"
        broken = self._bench.faults.strikes("cut")
        sent = 0
        while True:
            changed = prediction.changed
            told = prediction.output or []
            for piece in told[sent:]:
                sent += 1
                yield _event("output", piece, sent)
                if broken is not None and sent > CUT_AFTER:
                    cut(request)
                    return
            if prediction.status in TERMINAL:
                break
            await changed.wait()
        if prediction.status == "failed":
            yield _event("error", json.dumps({"detail": prediction.error}), sent + 1)
        reason = {} if prediction.status == "succeeded" else {"reason": prediction.status}
        yield _event("done", json.dumps(reason), sent + 2)

    async def _later(self, prediction: Prediction, seconds: float) -> None:
        await self._bench.sleep(seconds)
        self._runs.cancel(prediction)

    def _found(self, request: Request) -> Prediction:
        found = self._store.predictions.get(request.path_params["id"])
        if found is None:
            raise not_found()
        return found

    def _told(self, prediction: Prediction) -> Response:
        return JSONResponse(prediction.told(self._bench.address, self._bench.now()))


def _event(event: str, data: str, id: int) -> str:
    lines = "".join(f"data: {line}\n" for line in data.split("\n"))
    return f"event: {event}\nid: {id}\n{lines}\n"


def _cursor(text: str | None) -> Cursor | None:
    if text is None:
        return None
    try:
        return msgspec.json.decode(base64.urlsafe_b64decode(text), type=Cursor)
    except (binascii.Error, msgspec.DecodeError, ValueError):
        wrong = {"type": "format", "field": "cursor", "description": "Invalid cursor"}
        raise invalid([wrong]) from None


def _when(name: str, text: str | None, otherwise: float) -> float:
    if text is None:
        return otherwise
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        wrong = {"type": "format", "field": name, "description": "Invalid date-time"}
        raise invalid([wrong]) from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()
