"""What a provider is: start, look up, follow, cancel. The contract every one keeps.

`follow` is used for the first run and again after a restart, so that recovery is
no second way to run. Reports are pushed to a function: awaiting it gives
back-pressure, and when it returns the report is on disk. A provider knows neither
the task, nor the store, nor other providers. The contract's tests are
tests/server/providers/test_contract.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol

import msgspec

from safelight_protocol.events import Charge, Kind


class InputFile(msgspec.Struct, frozen=True):
    """A file that the prediction starts from."""

    path: Path
    media_type: str


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a task. `uid` and `attempt` mark it at the provider. `place` is the
    address at which it was claimed to run on `backend`: it is sent to no other."""

    uid: str
    attempt: int
    kind: Kind
    model: str
    prompt: str
    params: dict[str, Any]
    seed: int
    n: int
    backend: str | None = None
    place: str | None = None
    inputs: tuple[InputFile, ...] = ()


class Moved(msgspec.Struct, frozen=True):
    """It moved on: `progress` 0 to 1 or None where it is not known."""

    progress: float | None = None
    step: int | None = None
    steps: int | None = None
    message: str | None = None


class Delta(msgspec.Struct, frozen=True):
    """More text."""

    text: str


class Made(msgspec.Struct, frozen=True):
    """A result file."""

    kind: Kind
    media_type: str
    data: bytes


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """A result file that lies at the provider; it is fetched by us, once.

    `key` is its identity within the attempt, e.g. `9/0/ComfyUI_00001_.png`: the same for
    whoever announces it, and again after a restart. `headers` (credentials) go to the
    origin of `url` and nowhere else, also not after a redirect. `media_type` is what the
    provider claims; only for text is it believed. `bytes` and `sha256`, where the provider
    says them, are what the file must turn out to be.

    Awaiting the report returns when the file is kept and its event is committed. It raises
    Refused if the file cannot be had: let that go through.
    """

    kind: Kind
    key: str
    url: str
    headers: dict[str, str] = {}
    media_type: str | None = None
    bytes: int | None = None
    sha256: str | None = None


class Shown(msgspec.Struct, frozen=True):
    """A preview; may be dropped."""

    step: int
    media_type: str
    data: bytes


Report = Callable[[Moved | Delta | Made | Found | Shown], Awaitable[None]]


class Done(msgspec.Struct, frozen=True):
    """The prediction finished; everything it made was reported before.

    `charge` is what the provider says that the attempt cost, here as in every outcome;
    None where it does not say, which is free only of one that never bills.
    """

    charge: Charge | None = None


class Ended(msgspec.Struct, frozen=True):
    """The provider stopped it, by our cancel or somebody else's."""

    charge: Charge | None = None


class Again(msgspec.Struct, frozen=True):
    """It failed in a way that may pass. `after_seconds` is the provider's own wish.

    `fresh_seed`: it would fail again with this seed, and may pass with another one.
    """

    code: str
    message: str
    after_seconds: float | None = None
    fresh_seed: bool = False
    charge: Charge | None = None


class Never(msgspec.Struct, frozen=True):
    """It failed for good: the same request would fail again."""

    code: str
    message: str
    charge: Charge | None = None


class Gone(msgspec.Struct, frozen=True):
    """It is lost, or never began, and to start it again costs nothing."""

    message: str


class Unclear(msgspec.Struct, frozen=True):
    """It cannot be told what became of it, and a second start could be billed."""

    message: str


Outcome = Done | Ended | Again | Never | Gone | Unclear


class Provider(Protocol):
    """A thing that predicts.

    `resumable`: a saved handle can be followed after a restart of ours. `billed`: a
    second start could cost money, so a lost start is never simply repeated.
    """

    name: str
    resumable: bool
    billed: bool

    def open(self) -> AbstractAsyncContextManager[None]:
        """Hold what it needs (processes, connections) for as long as the server runs."""

    async def start(self, prediction: Prediction) -> str:
        """Begin it and return the handle to follow or cancel it by.

        Raises Failure; with Unclear when the request may have arrived all the same. The
        intent is on disk before this is called. Where a second start could be billed it
        is called at most once for an attempt, elsewhere at least once.
        """

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear:
        """What became of a start whose answer was lost, asked by the marks that the request
        carried (uid and attempt): the handle, which can be followed from here; Gone if it
        certainly never began and cannot begin any more; Unclear if that cannot be told now.

        Starts nothing, and is asked again and again. A request that may still be on its
        way is Unclear, not Gone.
        """

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report until it ends; exactly one outcome. Called again with the same handle it
        reports from the beginning, in the same order, and ends the same; what the log has
        already is left out by us. Cancelled from outside it leaves nothing running here."""

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Ask for its end; `follow` then returns. Safe to repeat, and after the end."""


class Failure(Exception):
    """A start that failed, with its outcome (Again, Never, Gone or Unclear)."""

    def __init__(self, outcome: Again | Never | Gone | Unclear) -> None:
        super().__init__(outcome.message)
        self.outcome = outcome
