"""What every request to the OpenAI emulator meets: the key, the JSON, the faults, the marks.

One desk per emulator. It gives out ids, tells the log of runs, and remembers which prompts
it has read before, since a long one is cheaper the second time.
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
from .errors import Refusal, gateway_timeout, invalid, no_key, not_found, struck
from .prices import Tokens, cost

FAULTS: Mapping[str, str] = {
    "lost-answer": "create",
    "lost-request": "create",
    "http-504": "create",
    "http-500": "create",
    "http-503": "create",
    "throttle": "create",
    "hang": "create",
    "moderated": "create",
    "unauthorized": "create",
    "no-credit": "create",
    "cut": "stream",
    "fail": "run",
    "late": "run",
    "abort-queued": "run",
    "huge": "run",
    "no-usage": "run",
    "gone": "get",
}
"""What may go wrong here; docs/emulators.md tells what each does."""

AT_CREATE = (
    *("lost-answer", "lost-request", "http-504", "http-500", "http-503"),
    *("throttle", "hang", "moderated"),
)
AFTER_BEGIN = ("lost-answer", "http-504")
"""Faults of a create that let the run begin all the same."""

AT_OTHERS = ("http-500", "http-503", "throttle", "hang", "lost-request")
CACHED_FROM = 1024
"""Prompts of so many tokens are cheaper when they come again."""


class Desk:
    """Stands between the routes and the bench."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._read: dict[int, None] = {}

    def id(self, prefix: str) -> str:
        """A new one, e.g. `resp_` and 48 hexadecimal digits."""
        return f"{prefix}{self.bench.random.getrandbits(192):048x}"

    def now(self) -> int:
        """Seconds of the epoch."""
        return int(self.bench.now())

    def check_key(self, request: Request) -> None:
        """Raises Refusal. Without a key of its own the emulator takes everybody."""
        given = request.headers.get("authorization", "")
        key = given.removeprefix("Bearer ").strip() if given else None
        if self.bench.key and key != self.bench.key:
            raise no_key(key or None)

    async def body(self, request: Request) -> dict[str, Any]:
        """The JSON object of a request whose key is right. Raises Refusal."""
        self.check_key(request)
        return as_object(await request.body())

    def fault_of_create(self, blocked: Refusal) -> Response | None:
        """What a create is answered with in place of its answer, though its run begins; ask
        once for each. Raises Refusal where none begins: `blocked` for what is not allowed."""
        faults = self.bench.faults
        fault = faults.strikes("unauthorized") or faults.strikes("no-credit")
        fault = fault or faults.one_of(*AT_CREATE, on="create")
        if fault is None:
            return None
        if fault.name in AFTER_BEGIN:
            return Cut() if fault.name == "lost-answer" else gateway_timeout()
        raise blocked if fault.name == "moderated" else Refusal(struck(fault))

    def fault_of_other(self, place: str) -> Response | None:
        """What is answered to a question (`get`) or a `cancel` in place of its answer."""
        if self.bench.faults.strikes("gone", place):
            return not_found("Response not found.").response
        fault = self.bench.faults.one_of(*AT_OTHERS, on=place)
        return None if fault is None else struck(fault)

    def fault_of_stream(self) -> Fault | None:
        """What happens to an answer while it is told: `cut` or `hang`."""
        return self.bench.faults.one_of("cut", "hang", on="stream")

    def fault_of_run(self, *more: str) -> Fault | None:
        """What happens to a run: `fail`, `late`, `moderated`, or one of `more`."""
        return self.bench.faults.one_of("fail", "late", "moderated", *more, on="run")

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
        return tokens // 128 * 128 if known else 0

    def begun(
        self, run: str, model: str, request: Request, asked: Mapping[str, Any], prompt: str
    ) -> None:
        """A run has begun."""
        carried = {name: asked.get(name) for name in ("metadata", "user", "safety_identifier")}
        self.bench.log.begun(run, model, **marks(request, prompt, **carried))

    def ended(self, run: str, outcome: str, model: str, used: Tokens) -> None:
        """A run has ended, and is billed for what it used."""
        self.bench.log.ended(run, outcome, cost(model, used))


def as_object(content: bytes) -> dict[str, Any]:
    """The JSON object in it. Raises Refusal."""
    if len(content) > MOST_BYTES:
        raise invalid("The request is too large.", None, "request_too_large")
    if (found := object_in(content)) is None:
        raise invalid("We could not parse the JSON body of your request.", None, None)
    return found
