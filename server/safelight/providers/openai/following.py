"""One response, followed to its end: by its stream while there is one, else by asking.

Begins anywhere: with the stream of its create, or after a restart of ours with none. What was
told is never told again within one follow, however the text is cut the second time. Absence
of news is no end: after silence the response is asked, and what its status says holds.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Protocol

import anyio
import msgspec
from openai import APIStatusError, AsyncStream

from safelight_protocol.events import Charge

from ..base import Again, Delta, Done, Ended, Moved, Outcome, Report
from ..pace import away
from . import refusals, usage
from .answers import Broken, Events, at, text_at
from .client import TROUBLE, Line

TERMINAL = frozenset({"completed", "failed", "incomplete", "cancelled"})
ENDINGS = frozenset(f"response.{status}" for status in TERMINAL)
NEVER_BEGAN = Charge("free", reason="its provider took it out of the queue before it began")
COUNTS_NOTHING = Charge("free", reason="it failed, and its provider counts nothing as used")
WAITS = "waits at the provider"

BELIEVED = 3
"""So many times in a row it must be missing: what was just begun may not be found at once."""


class Asking(Protocol):
    """How a response is asked about; all of these raise the trouble there was."""

    async def look(self, handle: str) -> dict[str, Any] | None: ...
    async def reopen(self, handle: str, after: int | None) -> AsyncStream[Any]: ...
    async def ask_to_end(self, handle: str) -> dict[str, Any] | None: ...


class Following:
    """One follow of one response."""

    def __init__(
        self,
        line: Line,
        asking: Asking,
        handle: str,
        report: Report,
        sleep: Callable[[float], Awaitable[None]],
        monotonic: Callable[[], float],
    ) -> None:
        self._line = line
        self._asking = asking
        self._handle = handle
        self._report = report
        self._sleep = sleep
        self._monotonic = monotonic
        self._told = ""
        self._behind = 0
        self._missing = 0
        self._refusal = ""
        self._after: int | None = None
        self._streams = True
        self._begun = False
        self._waits = False
        self._torn_at: float | None = None
        self._looks = 0
        self._troubles = 0
        self._ending = False
        self._scope: anyio.CancelScope | None = None

    def look_now(self) -> None:
        """It was asked to end: do not wait for its stream to say so."""
        self._ending = True
        if self._scope is not None:
            self._scope.cancel()

    async def run(
        self,
        stream: AsyncStream[Any] | None = None,
        events: AsyncIterator[dict[str, Any]] | None = None,
    ) -> Outcome:
        """Until it has ended; exactly one outcome."""
        while True:
            if stream is None and self._streams and not self._ending:
                stream = await self._reopened()
                events = None if stream is None else Events(stream)
            if stream is not None and events is not None:
                heard = self._after
                outcome = await self._listen(stream, events)
                if outcome is not None:
                    return outcome
                self._torn_at = self._torn_at or self._monotonic()
                stream = None
                if self._after != heard and not self._ending:
                    continue  # torn in the middle: there is more behind the last event
            outcome = await self._look()
            if outcome is not None:
                return outcome
            await self._rest()

    async def _reopened(self) -> AsyncStream[Any] | None:
        """Its stream again; None where that is not to be had, now or at all."""
        self._behind = len(self._told) if self._after is None else 0
        with anyio.CancelScope() as self._scope:
            try:
                return await self._asking.reopen(self._handle, self._after)
            except APIStatusError as refused:
                if refused.status_code in (400, 405, 422):
                    self._streams = False
            except (*TROUBLE, TimeoutError):
                pass
        return None

    async def _listen(
        self, stream: AsyncStream[Any], events: AsyncIterator[dict[str, Any]]
    ) -> Outcome | None:
        """Until the end of the response, or of its stream, which is none of that."""
        try:
            while not self._ending:
                event: dict[str, Any] | None = None
                with anyio.move_on_after(self._line.timings.silence) as self._scope:
                    event = await anext(events, None)
                self._scope = None
                if event is None:
                    return None
                outcome = await self._hear(event)
                if outcome is not None:
                    return outcome
        except Broken:
            return None
        finally:
            with anyio.CancelScope(shield=True):
                await stream.close()
        return None

    async def _hear(self, event: dict[str, Any]) -> Outcome | None:
        number = at(event, "sequence_number")
        if isinstance(number, int):
            if self._after is not None and number <= self._after:
                return None
            self._after = number
        self._looks = 0
        await self._note_silence(0)
        kind = text_at(event, "type")
        if kind in ENDINGS:
            return await self._settle(at(event, "response"))
        match kind:
            case "response.output_text.delta":
                await self._begin()
                await self._say(self._beyond(text_at(event, "delta")))
            case "response.refusal.delta":
                self._refusal += text_at(event, "delta")
            case "response.queued":
                await self._wait()
            case "response.in_progress" | "response.output_item.added":
                await self._begin()
        return None

    def _beyond(self, text: str) -> str:
        """What of it was not told yet: a stream without numbers begins anew each time."""
        known = min(self._behind, len(text))
        self._behind -= known
        return text[known:]

    async def _say(self, text: str) -> None:
        if text:
            self._told += text
            await self._report(Delta(text, part=True))

    async def _wait(self) -> None:
        if not self._waits and not self._begun:
            self._waits = True
            await self._report(Moved(message=WAITS))

    async def _begin(self) -> None:
        if self._waits and not self._begun:
            await self._report(Moved())  # it does not wait any more
        self._begun = True

    async def _look(self) -> Outcome | None:
        """Ask the response itself; None while it has not ended, or cannot be asked."""
        known, response = await self._tried(self._asking.look)
        await self._note_silence(0 if known else self._troubles + 1)
        if not known:
            return None
        self._missing = 0 if response is not None else self._missing + 1
        if response is None:
            believed = self._missing >= BELIEVED
            return self._line.lost("it keeps the response no more") if believed else None
        status = text_at(response, "status")
        if status in TERMINAL:
            return await self._settle(response)
        if status == "queued":
            await self._wait()
        elif status == "in_progress":
            await self._begin()
        return await self._taken_out() if self._ending or self._is_stuck() else None

    async def _note_silence(self, troubles: int) -> None:
        """Tell that it cannot be asked, once, and once that it can be again."""
        name = self._line.name
        before, now = away(name, self._troubles), away(name, troubles)
        self._troubles = troubles
        if before != now:
            await self._report(Moved(message=now))

    def _is_stuck(self) -> bool:
        """Whether its stream was torn before it began, and it has waited for long since: it
        may do so for ever."""
        torn, stuck = self._torn_at, self._line.timings.stuck
        return not self._begun and torn is not None and self._monotonic() - torn >= stuck

    async def _taken_out(self) -> Outcome | None:
        """Ask for its end again. One that nobody wanted to end has not begun; once that is
        confirmed, another attempt costs nothing."""
        _, response = await self._tried(self._asking.ask_to_end)
        if response is None or text_at(response, "status") not in TERMINAL:
            return None
        outcome = await self._settle(response)
        if isinstance(outcome, Ended) and not self._ending:
            why = f"{self._line.name} left it in its queue"
            return Again("provider_failed", why, charge=outcome.charge, usage=outcome.usage)
        return outcome

    async def _tried(
        self, ask: Callable[[str], Awaitable[dict[str, Any] | None]]
    ) -> tuple[bool, dict[str, Any] | None]:
        """Whether there was an answer, and which."""
        with anyio.CancelScope() as self._scope:
            try:
                return True, await ask(self._handle)
            except (*TROUBLE, TimeoutError):
                pass
        return False, None

    async def _rest(self) -> None:
        """Pause before the next look, longer each time in which nothing was heard."""
        timings = self._line.timings
        pause = timings.pause(self._looks)
        self._looks += 1
        with anyio.CancelScope() as self._scope:
            await self._sleep(timings.poll if self._ending else pause)
        self._scope = None

    async def _settle(self, response: Any) -> Outcome:
        """What its last state comes to; text that no stream told is told now."""
        name, used = self._line.name, usage.of_response(at(response, "usage"))
        text, refusal = _written(response)
        if text.startswith(self._told):
            await self._say(text[len(self._told) :])
        refusal = refusal or self._refusal
        match text_at(response, "status"):
            case "cancelled":
                began = self._begun or bool(self._told) or used is not None
                waited = self._waits and not began
                return Ended(charge=NEVER_BEGAN if waited else None, usage=used)
            case "failed":
                outcome = refusals.of_failure(at(response, "error"), name, used)
                free = COUNTS_NOTHING if used is None else None
                return msgspec.structs.replace(outcome, charge=free)
            case "incomplete":
                if text_at(response, "incomplete_details", "reason") == "content_filter":
                    return refusals.of_refusal("", name, used)
                if not self._told:
                    return refusals.of_silence(name, used)
                await self._report(Moved(message=refusals.CUT_SHORT))
        if refusal and not self._told:
            return refusals.of_refusal(refusal, name, used)
        return Done(usage=used)


def _written(response: Any) -> tuple[str, str]:
    """All text of a response, and its refusal."""
    text = refusal = ""
    output = at(response, "output")
    for item in output if isinstance(output, list) else []:
        content = at(item, "content")
        for part in content if isinstance(content, list) else []:
            if text_at(part, "type") == "refusal":
                refusal += text_at(part, "refusal")
            elif text_at(item, "type") == "message":
                text += text_at(part, "text")
    return text, refusal
