"""The server's side of `remote.py`: a provider whose predictions run in another process.

Keeps the contract of `safelight.providers.base` as an honest adapter of a real service
would: the marker (uid and attempt) travels with the start, an answer that never came is
`Unclear`, and `look_up` asks instead of guessing. Registered under the name `scripted`, so
that models `scripted/…` run on it.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx2

from safelight.providers.base import (
    Again,
    Delta,
    Done,
    Ended,
    Failure,
    Found,
    Gone,
    Made,
    Moved,
    Never,
    Outcome,
    Prediction,
    Report,
    Unclear,
)
from safelight_protocol.events import Charge

PAUSE_SECONDS = 0.05
"""Between two tries to follow while the service does not answer: nobody tells an adapter when
it does again."""

CHARGED = Charge(verdict="charged", amount_micros=40_000, reason="one prediction")


class RemoteProvider:
    """A provider at `url`. A start that is not answered within `seconds` is unclear."""

    def __init__(
        self,
        url: str,
        *,
        name: str = "scripted",
        billed: bool = False,
        resumable: bool = True,
        seconds: float = 5.0,
    ) -> None:
        self.name = name
        self.billed = billed
        self.resumable = resumable
        self._url = url
        self._seconds = seconds

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Hold one pool of connections."""
        timeout = httpx2.Timeout(self._seconds)
        limits = httpx2.Limits(max_connections=None)
        async with httpx2.AsyncClient(
            base_url=self._url, timeout=timeout, limits=limits, trust_env=False
        ) as self._http:
            yield

    async def start(self, prediction: Prediction) -> str:
        """Begin it. Raises Failure: `Again` if surely nothing runs, else `Unclear`."""
        body = {
            "uid": prediction.uid,
            "attempt": prediction.attempt,
            "kind": prediction.kind,
            "script": prediction.params.get("script"),
        }
        try:
            answer = await self._http.post("/predictions", json=body)
        except httpx2.ConnectError:
            raise Failure(Again("provider_failed", "the service cannot be reached")) from None
        except httpx2.HTTPError as trouble:
            raise Failure(Unclear(f"the start was not answered: {trouble!r}")) from None
        if answer.status_code == 429:
            wait = float(answer.headers["retry-after"])
            raise Failure(Again("provider_failed", "the service is busy", wait))
        if answer.status_code != 201:
            raise Failure(Again("provider_failed", f"the service said {answer.status_code}"))
        return str(answer.json()["handle"])

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear:
        """The handle of a start whose answer was lost, by its marker."""
        query = {"marker": f"{prediction.uid}/{prediction.attempt}"}
        try:
            answer = await self._http.get("/predictions", params=query)
        except httpx2.HTTPError as trouble:
            return Unclear(f"the look-up was not answered: {trouble!r}")
        if answer.status_code == 404:
            return Gone("the service knows no such prediction")
        if answer.status_code != 200:
            return Unclear(f"the look-up was answered with {answer.status_code}")
        return str(answer.json()["handle"])

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report every step from the first one on, also when it is followed again."""
        told = 0
        while True:
            found = await self._poll(handle, told)
            if isinstance(found, Gone):
                return found
            for step in found["steps"]:
                await report(_report(step))
            told += len(found["steps"])
            if found["outcome"] is not None and not found["steps"]:
                return self._outcome(found["outcome"])

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Ask for its end."""
        answer = await self._http.post(f"/predictions/{handle}/cancel")
        answer.raise_for_status()

    async def _poll(self, handle: str, after: int) -> dict[str, Any] | Gone:
        while True:
            try:
                answer = await self._http.get(
                    f"/predictions/{handle}", params={"after": after}, timeout=30.0
                )
            except httpx2.HTTPError:
                await asyncio.sleep(PAUSE_SECONDS)
                continue
            if answer.status_code == 404:
                return Gone("the service knows no such prediction")
            found: dict[str, Any] = answer.json()
            return found

    def _outcome(self, outcome: dict[str, Any]) -> Outcome:
        charge = CHARGED if self.billed else Charge(verdict="free")
        code, message = outcome.get("code", "provider_failed"), "the script says so"
        match outcome["is"]:
            case "done":
                return Done(charge)
            case "canceled":
                return Ended(charge)
            case "fault":
                return Again(code, message, outcome.get("after_seconds"))
            case "never":
                return Never(code, message)
            case "lost":
                return Gone(message)
            case _:
                return Unclear(message)


def _report(step: dict[str, Any]) -> Moved | Delta | Made | Found:
    if "found" in step:
        return Found(**step["found"])
    if "moved" in step:
        return Moved(*step["moved"])
    if "delta" in step:
        return Delta(step["delta"])
    kind, media_type, data = step["made"]
    return Made(kind, media_type, base64.b64decode(data))
