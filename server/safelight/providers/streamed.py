"""A provider that answers each attempt once, by a stream, and keeps nothing: what such have
in common, from the request that is made ready to the outcome.

What is lost is unknowable, and a cancel closes the connection, which is all that can be done;
what it had used by then is told as an estimate. Each provider says how it asks, how it is
heard, and what its refusals mean. Knows no SDK.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, ClassVar, Generic, Protocol, TypeVar

import anyio

from safelight_protocol.charges import unknown
from safelight_protocol.events import Charge
from safelight_protocol.prices import Usage

from .base import (
    Again,
    Ended,
    Failure,
    InputFile,
    Never,
    Outcome,
    Prediction,
    Report,
    Unclear,
    Unknowable,
)
from .denials import STRANGE, greeted
from .greeting import Answer, Heard, Welcome, unheard
from .http import Fault, fault_of
from .streams import Call, Calls, Garbled, Stopped

UNREADABLE = (ValueError, LookupError, AttributeError, TypeError, RecursionError)
"""What an SDK raises that meets another answer than it knows."""

Request = TypeVar("Request")


class Hearing(Protocol):
    """What one answer has said so far."""

    @property
    def has_ended(self) -> bool:
        """Whether the model has said its last word."""

    async def take(self, piece: Any, report: Report, /) -> None:
        """One piece, as the SDK reads it."""

    def usage(self) -> Usage | None:
        """What it used, as far as it was said."""

    def outcome(self) -> Outcome:
        """What it comes to now that the stream has ended."""


class Streamed(ABC, Generic[Request]):
    """Keeps the contract of providers, and Greeting, but for what is its provider's own.
    `sdk_errors` is what the SDK raises that says something; whatever else it raises is of a
    stream that is none. `status_error` is, of those, an answer that is no success."""

    speaks: ClassVar[str]
    resumable = False
    billed = True
    sdk_errors: ClassVar[tuple[type[Exception], ...]]
    status_error: ClassVar[type[Exception]]

    def __init__(self, name: str, url: str, answer_seconds: float) -> None:
        self.name = name
        self.url = url
        self.heard: Heard = unheard
        self._answer_seconds = answer_seconds
        self._calls: Calls[Request] = Calls(name)

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds the SDK's client."""
        return self._opened()

    async def greet(self) -> Answer:
        """Ask for its models, which only who has a key is told."""
        troubles: tuple[type[Exception], ...] = (TimeoutError, *self.sdk_errors)
        try:
            with anyio.fail_after(self._answer_seconds):
                return Welcome() if await self._lists() else STRANGE
        except troubles as error:
            fault = fault_of(error)
            return greeted(fault, self._refused(fault))
        except UNREADABLE:
            return STRANGE

    async def start(self, prediction: Prediction) -> str:
        """Make the request ready. It is sent when it is followed."""
        return self._calls.ready(prediction, await self._request(prediction))

    async def look_up(self, prediction: Prediction) -> Unknowable:
        """Nobody can tell."""
        return self._calls.unknowable()

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Send it, and report the stream until it ends."""

        troubles: tuple[type[Exception], ...] = (Garbled, *self.sdk_errors)

        async def talk(call: Call[Request], request: Request) -> Outcome:
            heard = self._hearing(prediction)
            try:
                stream = await self._answer(call, request)
                async for piece in call.each(stream, known=self.sdk_errors):
                    await heard.take(piece, report)
                return heard.outcome()
            except Stopped:
                return heard.outcome() if heard.has_ended else _left(heard.usage())
            except troubles as error:
                return self._troubled(error, call, heard)

        return await self._calls.follow(handle, talk)

    def is_fleeting(self, handle: str) -> bool:
        """Whether its answer comes to this process, or to nobody."""
        return self._calls.has(handle)

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Close the connection."""
        self._calls.cancel(handle)

    def _troubled(self, error: Exception, call: Call[Request], heard: Hearing) -> Outcome:
        """It was refused, or the answer broke off. If the model had ended before, nothing is
        lost."""
        if heard.has_ended:
            return heard.outcome()
        if isinstance(error, self.status_error):
            if call.begun:
                return _broken_off(self.name, self._is_full(error))
            return self._refused(fault_of(error))
        if isinstance(error, Garbled):
            raise error
        fault = fault_of(error)
        if not fault.sent:
            return self._refused(fault)
        return Unclear(f"{self.name} may have run it, but {fault.why}")

    @abstractmethod
    def _opened(self) -> AbstractAsyncContextManager[None]:
        """The SDK's client, held for so long."""

    @abstractmethod
    async def _lists(self) -> bool:
        """Whether it answers with a list of models. Raises what the SDK does."""

    @abstractmethod
    async def _request(self, prediction: Prediction) -> Request:
        """What will be sent. Raises Failure; FileNotFoundError for a file that has gone."""

    @abstractmethod
    def _hearing(self, prediction: Prediction) -> Hearing:
        """Whoever hears the answer."""

    @abstractmethod
    async def _answer(self, call: Call[Request], request: Request) -> AsyncIterator[Any]:
        """The answer, piece by piece. What waits for its beginning waits by the call."""

    @abstractmethod
    def _refused(self, fault: Fault) -> Outcome:
        """What a request came to that was not answered by a stream."""

    @abstractmethod
    def _is_full(self, error: Any) -> bool:
        """Whether a refusal in the middle of a stream says that there is no room for it."""


async def input_bytes(place: int, file: InputFile, allowed: Sequence[str]) -> bytes:
    """One of the inputs, read. Raises Failure for a media type that is not `allowed`;
    FileNotFoundError for a file that has gone."""
    if file.media_type not in allowed:
        expected = f"one of {', '.join(allowed)}"
        message = f"inputs.{place}: found {file.media_type}, expected {expected}"
        raise Failure(Never("invalid_input", message))
    return await anyio.Path(file.path).read_bytes()


def _broken_off(name: str, is_full: bool) -> Again:
    """Its provider has ended the run, which can be made again; whether it asks for money for
    this one it did not say."""
    charge = unknown("its provider broke off, and did not say what it cost")
    code = "throttled" if is_full else "provider_failed"
    return Again(code, f"{name} broke off the answer", charge=charge, elsewhere=True)


def _left(usage: Usage | None) -> Ended:
    """What a run comes to that we left. What it goes on to use is told to nobody, so the bill
    may be more than what is known of it."""
    if usage is None:
        return Ended(charge=unknown("it was canceled before anything was said of what it used"))
    charge = Charge("estimated", reason="what is known to have been used when it was canceled")
    return Ended(charge=charge, usage=usage)
