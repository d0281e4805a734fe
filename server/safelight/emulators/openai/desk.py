"""What requests to the OpenAI emulator meet of its own: the key, questions' faults, the marks.

One desk per emulator. It gives out ids, tells the log of runs, and says which prompts it has
read before, since a long one is cheaper the second time.
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
from .errors import gateway_timeout, invalid, no_key, not_found, struck
from .prices import Tokens, cost

FAULTS: Mapping[str, str] = {
    **desk.FAULTS,
    "abort-queued": "run",
    "huge": "run",
    "gone": "get",
}
"""What may go wrong here."""

AT_CREATE = (
    *("lost-answer", "lost-request", "http-504", "http-500", "http-503"),
    *("throttle", "hang", "moderated"),
)
AT_OTHERS = ("http-500", "http-503", "throttle", "hang", "lost-request")
CACHED_FROM = 1024
"""Prompts of so many tokens are cheaper when they come again."""


class Desk(desk.Desk):
    """Stands between the routes and the bench."""

    at_create = AT_CREATE

    def id(self, prefix: str) -> str:
        """A new one, e.g. `resp_` and 48 hexadecimal digits."""
        return f"{prefix}{self.bench.random.getrandbits(192):048x}"

    def now(self) -> int:
        """Seconds of the epoch."""
        return int(self.bench.now())

    def check(self, request: Request) -> None:
        """Raises Refusal. Without a key of its own the emulator takes everybody."""
        given = request.headers.get("authorization", "")
        key = given.removeprefix("Bearer ").strip() if given else None
        if self.bench.key and key != self.bench.key:
            raise no_key(key or None)

    def fault_of_other(self, place: str) -> Response | None:
        """What is answered to a question (`get`) or a `cancel` in place of its answer."""
        fault = self.bench.faults.one_of(*AT_OTHERS, on=place, armed=("gone",))
        if fault is not None and fault.name == "gone":
            return not_found("Response not found.").response
        return None if fault is None else self.struck(fault)

    def cached(self, text: str, tokens: int) -> int:
        """How many of a prompt's tokens were read before."""
        if tokens < CACHED_FROM or not self.has_read(text):
            return 0
        return tokens // 128 * 128

    def begun(
        self, run: str, model: str, request: Request, asked: Mapping[str, Any], prompt: str
    ) -> None:
        """A run has begun."""
        carried = {name: asked.get(name) for name in ("metadata", "user", "safety_identifier")}
        self.bench.log.begun(run, model, **marks(request, prompt, **carried))

    def ended(self, run: str, outcome: str, model: str, used: Tokens) -> None:
        """A run has ended, and is billed for what it used."""
        self.bench.log.ended(run, outcome, cost(model, used))

    def _too_large(self) -> Refusal:
        return invalid("The request is too large.", None, "request_too_large")

    def _no_json(self) -> Refusal:
        return invalid("We could not parse the JSON body of your request.", None, None)

    def _timed_out(self) -> Response:
        return gateway_timeout()

    def _refused(self, fault: Fault) -> Response:
        return struck(fault)
