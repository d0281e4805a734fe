"""What requests to the Anthropic emulator meet of its own: the key, the version, the marks.

One desk per emulator. It gives out ids, tells the log of runs, and keeps the cache of
prompts that requests have marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .. import desk
from ..asking import marks
from ..desk import Refusal
from ..faults import Fault
from .errors import answer, invalid, refused, struck
from .prices import Tokens, cost
from .said import Said

FAULTS: Mapping[str, str] = {**desk.FAULTS, "http-529": "create"}
"""What may go wrong here."""

AT_CREATE = (
    *("lost-answer", "lost-request", "http-504", "http-500", "http-503", "http-529"),
    *("throttle", "hang", "moderated"),
)


class Desk(desk.Desk):
    """Stands between the routes and the bench."""

    at_create = AT_CREATE

    def id(self, prefix: str) -> str:
        """A new one, e.g. `msg_` and 24 hexadecimal digits."""
        return f"{prefix}01{self.bench.random.getrandbits(96):024x}"

    def check(self, request: Request) -> None:
        """The key, in either header, and the version of the API. Raises Refusal."""
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ").strip()
        key = request.headers.get("x-api-key") or bearer
        if self.bench.key and not key:
            raise refused("authentication_error", "x-api-key header is required")
        if self.bench.key and key != self.bench.key:
            raise refused("authentication_error", "invalid x-api-key")
        if "anthropic-version" not in request.headers:
            raise invalid("anthropic-version: header is required")

    def cache(self, words: Said) -> Tokens:
        """What goes in: anew, into the cache, or out of it."""
        rest = words.tokens - words.marked_tokens
        if not words.marked_tokens:
            return Tokens(taken=rest)
        if self.has_read(words.marked):
            return Tokens(taken=rest, found=words.marked_tokens)
        return Tokens(taken=rest, written=words.marked_tokens)

    def begun(
        self, run: str, model: str, request: Request, asked: Mapping[str, Any], prompt: str
    ) -> None:
        """A run has begun."""
        carried = marks(request, prompt, metadata=asked.get("metadata"))
        self.bench.log.begun(run, model, **carried)

    def ended(self, run: str, outcome: str, model: str, used: Tokens) -> None:
        """A run has ended, and is billed for what it used."""
        self.bench.log.ended(run, outcome, cost(model, used))

    def _too_large(self) -> Refusal:
        return refused("request_too_large", "Request exceeds the maximum size")

    def _no_json(self) -> Refusal:
        return invalid("The request body is not valid JSON")

    def _timed_out(self) -> Response:
        return answer("timeout_error")

    def _refused(self, fault: Fault) -> Response:
        return struck(fault)
