"""What requests to the Gemini emulator meet of its own: the key, and the marks.

One desk per emulator. It gives out ids, tells the log of runs, and says which prompts
it has read before, since a long one is cheaper the second time.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from .. import desk
from ..asking import marks
from ..desk import Refusal
from ..faults import Fault
from .errors import NOBODY, answer, invalid, refused, struck, wrong_key
from .prices import Tokens, cost

FAULTS: Mapping[str, str] = {**desk.FAULTS, "huge": "run"}
"""What may go wrong here."""

AT_CREATE = (
    *("lost-answer", "lost-request", "http-504", "http-500", "http-503"),
    *("throttle", "hang"),
)
CACHED_FROM = 1024
"""Prompts of so many tokens are cheaper when they come again."""


class Desk(desk.Desk):
    """Stands between the routes and the bench."""

    at_create = AT_CREATE

    def id(self) -> str:
        """A new one, as responses have it."""
        return base64.urlsafe_b64encode(self.bench.random.randbytes(16)).decode().rstrip("=")

    def check(self, request: Request) -> None:
        """Raises Refusal."""
        given = request.headers.get("x-goog-api-key") or request.query_params.get("key")
        if self.bench.key and not given:
            raise refused(403, NOBODY)
        if self.bench.key and given != self.bench.key:
            raise Refusal(wrong_key())

    def fault_of_run(self, *more: str) -> Fault | None:
        """One of a create that is not allowed as well: that is answered here like anything
        else, and read at a price."""
        return self.bench.faults.strikes("moderated") or super().fault_of_run(*more)

    def cached(self, text: str, tokens: int) -> int:
        """How many of a prompt's tokens were read before."""
        if tokens < CACHED_FROM or not self.has_read(text):
            return 0
        return tokens // 64 * 64

    def begun(self, run: str, model: str, request: Request, prompt: str) -> None:
        """A run has begun."""
        self.bench.log.begun(run, model, **marks(request, prompt))

    def ended(self, run: str, outcome: str, model: str, used: Tokens) -> None:
        """A run has ended, and is billed for what it used."""
        self.bench.log.ended(run, outcome, cost(model, used))

    def _too_large(self) -> Refusal:
        return invalid("Request payload size exceeds the limit.")

    def _no_json(self) -> Refusal:
        return invalid("Invalid JSON payload received.")

    def _timed_out(self) -> Response:
        return answer(504)

    def _refused(self, fault: Fault) -> Response:
        return struck(fault)
