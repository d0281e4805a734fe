"""What every request to the Anthropic emulator meets: the key, the version, faults, marks.

One desk per emulator. It gives out ids, tells the log of runs, and keeps the cache of
prompts that requests have marked.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from ..asking import MOST_BYTES, marks, object_in
from ..bench import Bench
from ..faults import Fault
from ..gate import Cut
from .errors import Refusal, answer, invalid, refused, struck
from .prices import Tokens, cost
from .said import Said

FAULTS: Mapping[str, str] = {
    "lost-answer": "create",
    "lost-request": "create",
    "http-504": "create",
    "http-500": "create",
    "http-503": "create",
    "http-529": "create",
    "throttle": "create",
    "hang": "create",
    "moderated": "create",
    "unauthorized": "create",
    "no-credit": "create",
    "cut": "stream",
    "fail": "run",
    "late": "run",
    "no-usage": "run",
}
"""What may go wrong here; docs/emulators.md tells what each does."""

AT_CREATE = (
    *("lost-answer", "lost-request", "http-504", "http-500", "http-503", "http-529"),
    *("throttle", "hang", "moderated"),
)
AFTER_BEGIN = ("lost-answer", "http-504")
"""Faults of a create that let the run begin all the same."""

MOST_CACHED = 1024


class Desk:
    """Stands between the routes and the bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._cache: dict[int, None] = {}

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

    async def body(self, request: Request) -> dict[str, Any]:
        """The JSON object of a request whose key is right. Raises Refusal."""
        self.check(request)
        content = await request.body()
        if len(content) > MOST_BYTES:
            raise refused("request_too_large", "Request exceeds the maximum size")
        if (found := object_in(content)) is None:
            raise invalid("The request body is not valid JSON")
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
            return Cut() if fault.name == "lost-answer" else answer("timeout_error")
        raise Refusal(struck(fault))

    def fault_of_stream(self) -> Fault | None:
        """What happens to an answer while it is told: `cut` or `hang`."""
        return self.bench.faults.one_of("cut", "hang", on="stream")

    def fault_of_run(self) -> Fault | None:
        """What happens to a run: `fail`, `late`, `moderated`, or an overload."""
        return self.bench.faults.one_of("fail", "late", "moderated", "http-529", on="run")

    def tells_usage(self) -> bool:
        """Whether this run says what it used; ask once."""
        return self.bench.faults.strikes("no-usage") is None

    def cache(self, words: Said) -> Tokens:
        """What goes in: anew, into the cache, or out of it."""
        rest = words.tokens - words.marked_tokens
        if not words.marked_tokens:
            return Tokens(taken=rest)
        known = hash(words.marked) in self._cache
        self._cache[hash(words.marked)] = None
        while len(self._cache) > MOST_CACHED:
            del self._cache[next(iter(self._cache))]
        if known:
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
