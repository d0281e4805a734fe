"""Creates: by model, by version and by deployment, and what may go wrong with them.

Whether anything begins is decided before anything is answered: a lost answer, a silence
and the fault `begun-500` are of runs that live on.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..bench import Bench
from ..gate import Cut, Silence
from .answers import (
    Problem,
    invalid,
    no_credit,
    no_version,
    not_found,
    throttled,
    trouble,
    unauthenticated,
)
from .hooks import EVENTS
from .models import BY_NAME, BY_VERSION, DEPLOYMENTS, Model
from .running import Runs
from .schema import Wrong, checked
from .store import Prediction, new_id

PREFER = re.compile(r"^wait(=([1-9]|[1-9][0-9]|60))?$")
SPAN = re.compile(r"^(?:(\d+)h)?(?:(\d+)m)?(?:(\d+)s?)?$")
WAIT_SECONDS = 60.0
LEAST_SPAN = 5
BODY = ("input", "version", "webhook", "webhook_events_filter", "stream")
EXTRA = "additional_property_not_allowed"
ARMED = ("unauthorized", "no-credit", "hang")
CHANCES = ("lost-answer", "lost-request", "http-500", "http-503", "throttle", "begun-500")


class Creating:
    """The three routes of a create."""

    def __init__(self, bench: Bench, runs: Runs) -> None:
        self._bench = bench
        self._runs = runs

    async def by_model(self, request: Request) -> Response:
        """POST /models/{owner}/{name}/predictions."""
        model = BY_NAME.get("{owner}/{name}".format(**request.path_params))
        if model is None or not model.official:
            raise not_found()
        return await self._create(request, model, "hidden")

    async def by_version(self, request: Request) -> Response:
        """POST /predictions: `owner/name` of an official model, `owner/name:id` or an id."""
        body = await _body(request)
        named = str(body.get("version") or "")
        if named in BY_NAME and BY_NAME[named].official:
            return await self._create(request, BY_NAME[named], "hidden")
        name, _, version = named.rpartition(":")
        model = BY_VERSION.get(version)
        if not named:
            raise invalid([_wrong("required", "(root)", "version is required")])
        if model is None or name not in ("", model.name):
            raise no_version()
        return await self._create(request, model, version)

    async def by_deployment(self, request: Request) -> Response:
        """POST /deployments/{owner}/{name}/predictions."""
        name = "{owner}/{name}".format(**request.path_params)
        model = DEPLOYMENTS.get(name)
        if model is None:
            raise not_found()
        return await self._create(request, model, model.versions[0], deployment=name)

    async def _create(
        self, request: Request, model: Model, version: str, deployment: str | None = None
    ) -> Response:
        chance = self._bench.faults.one_of(*CHANCES, on="create", armed=ARMED)
        name = "" if chance is None else chance.name
        match name:
            case "unauthorized":
                raise unauthenticated()
            case "no-credit":
                raise no_credit()
            case "lost-request":
                return Cut()
            case "throttle":
                raise throttled(chance.seconds(1.0) if chance else 1.0)
            case "http-500" | "http-503":
                raise trouble(int(name[-3:]))
        body = await _body(request)
        wait = _prefer(request.headers.get("prefer"))
        prediction = self._prediction(request, body, model, version, deployment)
        self._runs.begin(prediction)
        match name:
            case "lost-answer":
                return Cut()
            case "begun-500":
                raise trouble(500)
            case "hang":
                return Silence()
        return await self._answer(prediction, wait)

    def _prediction(
        self,
        request: Request,
        body: Mapping[str, Any],
        model: Model,
        version: str,
        deployment: str | None,
    ) -> Prediction:
        given = _checked(body, model)
        now = self._bench.now()
        span = _span(request.headers.get("cancel-after"))
        events = body.get("webhook_events_filter")
        return Prediction(
            id=new_id(),
            model=model.name,
            version=version,
            given=given,
            created=now,
            deadline=None if span is None else now + span,
            deployment=deployment,
            webhook=body.get("webhook"),
            events=EVENTS if events is None else frozenset(events),
            streams=model.streams,
        )

    async def _answer(self, prediction: Prediction, wait: float | None) -> Response:
        """What is told of it now, or after a wait. When the wait was too short it is said to
        be starting, whatever it does; when its files are all there, it is answered though it
        has not ended."""
        settled = wait is None or await _settled(prediction, wait)
        told = prediction.told(self._bench.address, self._bench.now())
        if not settled:
            told["status"] = "starting"
        headers = {"location": told["urls"]["get"]}
        return JSONResponse(told, 201 if settled else 202, headers=headers)


async def _settled(prediction: Prediction, seconds: float) -> bool:
    """Wait until its outputs are all there or it has ended; False when that takes longer."""
    try:
        async with asyncio.timeout(seconds):
            await prediction.filled.wait()
    except TimeoutError:
        return False
    return True


async def _body(request: Request) -> dict[str, Any]:
    try:
        body = msgspec.json.decode(await request.body())
    except msgspec.DecodeError:
        raise Problem(400, "The request body is not valid JSON.", "Bad request") from None
    if not isinstance(body, dict):
        raise invalid([_wrong("invalid_type", "(root)", "Invalid type. Expected: object")])
    return body


def _checked(body: Mapping[str, Any], model: Model) -> dict[str, Any]:
    """The input as it came. Raises Problem for anything that is not taken."""
    wrong = [
        _wrong(EXTRA, "(root)", f"Additional property {name} is not allowed")
        for name in body
        if name not in BODY
    ]
    given = body.get("input")
    if not isinstance(given, dict):
        wrong.append(_wrong("required", "(root)", "input is required"))
        given = {}
    if (hook := body.get("webhook")) is not None and not _is_address(hook):
        wrong.append(_wrong("format", "webhook", "Does not match format 'uri'"))
    events = body.get("webhook_events_filter")
    if events is not None and not (isinstance(events, list) and EVENTS.issuperset(events)):
        known = ", ".join(f'"{each}"' for each in sorted(EVENTS))
        text = f"webhook_events_filter must be one of the following: {known}"
        wrong.append(_wrong("enum", "webhook_events_filter", text))
    if wrong:
        raise invalid(wrong)
    try:
        checked(model.fields, given)
    except Wrong as trouble:
        raise invalid(trouble.fields) from None
    names = {field.name for field in model.fields}
    return {name: value for name, value in given.items() if name in names}


def _wrong(type: str, field: str, description: str) -> dict[str, str]:
    return {"type": type, "field": field, "description": description}


def _is_address(text: object) -> bool:
    """HTTPS, as the real one asks; plain HTTP too where it stays on this machine."""
    if not isinstance(text, str):
        return False
    parts = urlsplit(text)
    if parts.scheme == "http":
        return parts.hostname in ("127.0.0.1", "localhost", "::1")
    return parts.scheme == "https" and bool(parts.hostname)


def _prefer(header: str | None) -> float | None:
    """How long the answer shall wait."""
    if header is None:
        return None
    match = PREFER.match(header.strip())
    if match is None:
        raise invalid([_wrong("pattern", "Prefer", f"Does not match pattern '{PREFER.pattern}'")])
    return min(float(match[2]), WAIT_SECONDS) if match[2] else WAIT_SECONDS


def _span(header: str | None) -> float | None:
    """How long after its creation it shall be over."""
    if header is None:
        return None
    match = SPAN.match(header.strip())
    hours, minutes, seconds = (int(part or 0) for part in match.groups()) if match else (0, 0, 0)
    total = hours * 3600 + minutes * 60 + seconds
    if total < LEAST_SPAN:
        raise invalid([_wrong("format", "Cancel-After", "Must be a duration of at least 5s")])
    return float(total)
