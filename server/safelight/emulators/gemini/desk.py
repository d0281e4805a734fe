"""What every request to the Gemini emulator meets: the key, the faults, the marks.

One desk per emulator. It gives out ids, tells the log of runs, and remembers which prompts
it has read before, since a long one is cheaper the second time.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..asking import MOST_BYTES, marks, object_in
from ..bench import Bench
from ..faults import Fault
from ..gate import Cut
from .errors import NOBODY, Refusal, answer, invalid, refused, struck, wrong_key
from .prices import Tokens, cost

FAULTS: Mapping[str, str] = {
    "lost-answer": "create",
    "lost-request": "create",
    "http-504": "create",
    "http-500": "create",
    "http-503": "create",
    "throttle": "create",
    "hang": "create",
    "unauthorized": "create",
    "no-credit": "create",
    "moderated": "create",
    "cut": "stream",
    "fail": "run",
    "late": "run",
    "huge": "run",
    "no-usage": "run",
}
"""What may go wrong here; docs/emulators.md tells what each does."""

AT_CREATE = (
    *("lost-answer", "lost-request", "http-504", "http-500", "http-503"),
    *("throttle", "hang"),
)
AFTER_BEGIN = ("lost-answer", "http-504")
"""Faults of a create that let the run begin all the same."""

CACHED_FROM = 1024
"""Prompts of so many tokens are cheaper when they come again."""


class Desk:
    """Stands between the routes and the bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._read: dict[int, None] = {}

    def id(self) -> str:
        """A new one, as responses have it."""
        return base64.urlsafe_b64encode(self.bench.random.randbytes(16)).decode().rstrip("=")

    def check_key(self, request: Request) -> None:
        """Raises Refusal."""
        given = request.headers.get("x-goog-api-key") or request.query_params.get("key")
        if self.bench.key and not given:
            raise refused(403, NOBODY)
        if self.bench.key and given != self.bench.key:
            raise Refusal(wrong_key())

    async def body(self, request: Request) -> dict[str, Any]:
        """The JSON object of a request whose key is right. Raises Refusal."""
        self.check_key(request)
        content = await request.body()
        if len(content) > MOST_BYTES:
            raise invalid("Request payload size exceeds the limit.")
        if (found := object_in(content)) is None:
            raise invalid("Invalid JSON payload received.")
        return found

    def fault_of_create(self) -> Response | None:
        """What a create is answered with in place of its answer, though its run begins; ask
        once for each. Raises Refusal where none begins."""
        faults = self.bench.faults
        fault = faults.strikes("unauthorized") or faults.strikes("no-credit")
        fault = fault or faults.one_of(*AT_CREATE, on="create")
        if fault is None:
            return None
        if fault.name in AFTER_BEGIN:
            return Cut() if fault.name == "lost-answer" else answer(504)
        raise Refusal(struck(fault))

    def fault_of_stream(self) -> Fault | None:
        """What happens to an answer while it is told: `cut` or `hang`."""
        return self.bench.faults.one_of("cut", "hang", on="stream")

    def fault_of_run(self) -> Fault | None:
        """What happens to a run: `fail`, `late`, or `moderated`, also one of a create: what is
        not allowed is answered here like anything else, and read at a price."""
        at_create = self.bench.faults.strikes("moderated")
        return at_create or self.bench.faults.one_of("fail", "late", "moderated", on="run")

    def tells_usage(self) -> bool:
        """Whether this run says what it used; ask once."""
        return self.bench.faults.strikes("no-usage") is None

    def cached(self, text: str, tokens: int) -> int:
        """How many of a prompt's tokens were read before."""
        if tokens < CACHED_FROM:
            return 0
        known = hash(text) in self._read
        self._read[hash(text)] = None
        while len(self._read) > CACHED_FROM:
            del self._read[next(iter(self._read))]
        return tokens // 64 * 64 if known else 0

    def begun(self, run: str, model: str, request: Request, prompt: str) -> None:
        """A run has begun."""
        self.bench.log.begun(run, model, **marks(request, prompt))

    def ended(self, run: str, outcome: str, model: str, used: Tokens) -> None:
        """A run has ended, and is billed for what it used."""
        self.bench.log.ended(run, outcome, cost(model, used))
