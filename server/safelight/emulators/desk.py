"""What every request to an emulator of models meets, whoever it stands for: faults, memory.

A desk stands between the routes of one emulator and the bench; each emulator has its own,
which adds the key, the ids and the words. A handler raises Refusal; the application made
here answers with it. Knows no emulator.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from .asking import MOST_BYTES, object_in
from .bench import Bench
from .faults import Fault, common
from .gate import Cut, Silence

FAULTS = {
    **common("lost-answer", "lost-request", "http-500", "http-503", "throttle", "hang"),
    **common("moderated", "unauthorized", "no-credit", "cut", "fail", "late"),
    "http-504": "create",
    "no-usage": "run",
}
"""What may go wrong at each of them; docs/emulators.md tells what each does."""

AFTER_BEGIN = ("lost-answer", "http-504")
"""Faults of a create that let the run begin all the same."""

MOST_READ = 1024
"""Prompts that are remembered as read before."""


class Refusal(Exception):
    """Nothing was begun; the answer says why."""

    def __init__(self, response: Response) -> None:
        super().__init__(str(response.status_code))
        self.response = response


class Desk(ABC):
    """Stands between the routes and the bench. `at_create` are the faults of a create that
    come by chance as well."""

    at_create: ClassVar[tuple[str, ...]]

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._read: dict[int, None] = {}

    async def body(self, request: Request) -> dict[str, Any]:
        """The JSON object of a request whose key is right. Raises Refusal."""
        self.check(request)
        content = await request.body()
        if len(content) > MOST_BYTES:
            raise self._too_large()
        if (found := object_in(content)) is None:
            raise self._no_json()
        return found

    def fault_of_create(self, blocked: Refusal | None = None) -> Response | None:
        """What a create is answered with in place of its answer, though its run begins; ask
        once for each. Raises Refusal where none begins: `blocked`, if there is such a thing,
        for what is not allowed."""
        armed = ("unauthorized", "no-credit")  # one occasion for all of them
        fault = self.bench.faults.one_of(*self.at_create, on="create", armed=armed)
        if fault is None:
            return None
        if fault.name in AFTER_BEGIN:
            return Cut() if fault.name == "lost-answer" else self._timed_out()
        if blocked is not None and fault.name == "moderated":
            raise blocked
        raise Refusal(self.struck(fault))

    def fault_of_stream(self) -> Fault | None:
        """What happens to an answer while it is told: `cut` or `hang`."""
        return self.bench.faults.one_of("cut", "hang", on="stream")

    def fault_of_run(self, *more: str) -> Fault | None:
        """What happens to a run: `fail`, `late`, `moderated`, or one of `more`."""
        return self.bench.faults.one_of("fail", "late", "moderated", *more, on="run")

    def tells_usage(self) -> bool:
        """Whether this run says what it used; ask once."""
        return self.bench.faults.strikes("no-usage") is None

    def has_read(self, text: str) -> bool:
        """Whether this was read before; from now on it was."""
        known = hash(text) in self._read
        self._read[hash(text)] = None
        while len(self._read) > MOST_READ:
            del self._read[next(iter(self._read))]
        return known

    def struck(self, fault: Fault) -> Response:
        """What a fault of a request is answered with, before anything begins."""
        match fault.name:
            case "lost-request":
                return Cut()
            case "hang":
                return Silence()
        return self._refused(fault)

    @abstractmethod
    def check(self, request: Request) -> None:
        """The key. Raises Refusal."""

    @abstractmethod
    def _too_large(self) -> Refusal:
        """For a request that is larger than any that is taken."""

    @abstractmethod
    def _no_json(self) -> Refusal:
        """For a body that is no JSON object."""

    @abstractmethod
    def _timed_out(self) -> Response:
        """What is said when the answer took too long."""

    @abstractmethod
    def _refused(self, fault: Fault) -> Response:
        """What is said in words when this fault strikes."""


def application(
    routes: Sequence[BaseRoute],
    unknown: Callable[[Request, int], Response],
    told: Callable[[Response], Response] = lambda response: response,
) -> Starlette:
    """The routes of one emulator. `unknown` answers where nobody knows the path, with the
    status it is given; each answer that is no success is sent as `told` makes it."""

    async def refuse(request: Request, trouble: Exception) -> Response:
        assert isinstance(trouble, Refusal)
        return told(trouble.response)

    async def lost(request: Request, trouble: Exception) -> Response:
        assert isinstance(trouble, HTTPException)
        return told(unknown(request, trouble.status_code))

    handlers = {Refusal: refuse, HTTPException: lost}
    made = Starlette(routes=list(routes), exception_handlers=handlers)
    made.router.redirect_slashes = False
    return made
