"""What a provider is: start, look up, follow, cancel. The contract every one keeps.

`follow` is used for the first run and again after a restart, so that recovery is
no second way to run. Reports are pushed to a function: awaiting it gives
back-pressure, and when it returns the report is on disk. A provider knows neither
the task, nor the store, nor other providers. The contract's tests are
tests/server/providers/test_contract.py.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

import msgspec

from safelight_protocol.events import Charge, Kind
from safelight_protocol.prices import Usage

from .greeting import Denied


class InputFile(msgspec.Struct, frozen=True):
    """A file that the prediction starts from. Before there is a prediction (`Wanted`) only
    what it is is known, and `path` leads nowhere."""

    path: Path
    media_type: str


class Prediction(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt at a task. `uid` and `attempt` mark it at the provider. `place` is the
    address at which it was claimed to run on `backend`: it is sent to no other. `began_at` is
    when the attempt was claimed, in milliseconds since 1970: nothing of it is older."""

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
    began_at: int | None = None


class Moved(msgspec.Struct, frozen=True):
    """It moved on: `progress` 0 to 1 or None where it is not known."""

    progress: float | None = None
    step: int | None = None
    steps: int | None = None
    message: str | None = None


class Delta(msgspec.Struct, frozen=True):
    """More text. A `part` of a stream of words may be told together with those that follow
    in the same moment; its report returns before it is on disk."""

    text: str
    part: bool = False


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


Reported = Moved | Delta | Made | Found | Shown
Report = Callable[[Reported], Awaitable[None]]


class Done(msgspec.Struct, frozen=True):
    """The prediction finished; everything it made was reported before.

    `charge` is what the provider says that the attempt cost, here as in every outcome;
    None where it does not say, which is free only of one that never bills. Most of them
    say what was used instead: `usage`, of which the charge is made by the model's price.
    """

    charge: Charge | None = None
    usage: Usage | None = None


class Ended(msgspec.Struct, frozen=True):
    """The provider stopped it, by our cancel or somebody else's."""

    charge: Charge | None = None
    usage: Usage | None = None


class Again(msgspec.Struct, frozen=True):
    """It failed in a way that may pass. `after_seconds` is the provider's own wish.

    `fresh_seed`: it would fail again with this seed, and may pass with another one.
    `elsewhere`: the fault is verified, and the provider's rather than the request's, so that
    another host of the same model may well succeed.
    """

    code: str
    message: str
    after_seconds: float | None = None
    fresh_seed: bool = False
    charge: Charge | None = None
    usage: Usage | None = None
    elsewhere: bool = False


class Never(msgspec.Struct, frozen=True):
    """It failed for good: the same request would fail again. `elsewhere` as in Again; `denied`
    is what it said of our key or our credit, which is for the operator alone."""

    code: str
    message: str
    charge: Charge | None = None
    usage: Usage | None = None
    elsewhere: bool = False
    denied: Denied | None = None


class Gone(msgspec.Struct, frozen=True):
    """It is lost, or never began, and to start it again costs nothing."""

    message: str


class Unclear(msgspec.Struct, frozen=True):
    """It cannot be told what became of it, and a second start could be billed."""

    message: str


class Unknowable(msgspec.Struct, frozen=True):
    """What became of it will never be told, however often it is asked: its provider keeps
    nothing that could be looked up. Only `look_up` says so, and only of a start or a stream
    that was really lost."""

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

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear | Unknowable:
        """What became of a start whose answer was lost, asked by the marks that the request
        carried (uid and attempt): the handle, which can be followed from here; Gone if it
        certainly never began and cannot begin any more; Unclear if that cannot be told now;
        Unknowable if nobody will ever be able to tell.

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


class Wanted(Protocol):
    """What is asked of a provider: of a prediction, what matters before it is one."""

    @property
    def kind(self) -> Kind: ...
    @property
    def model(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def params(self) -> dict[str, Any]: ...
    @property
    def seed(self) -> int: ...
    @property
    def n(self) -> int: ...
    @property
    def inputs(self) -> tuple[InputFile, ...]:
        """The files that it starts from; of their bytes nothing is known yet."""


@runtime_checkable
class Checking(Protocol):
    """A provider that can hold a request against what it knows of its models."""

    async def check(self, wanted: Wanted) -> None:
        """Raises Refused `invalid`, naming the field, the value and what is allowed; and
        `provider_unreachable` if it had to be asked and could not, `provider_refused` if it
        takes nothing of this server. Spends nothing."""

    async def schema(self, model: str) -> dict[str, Any] | None:
        """The JSON Schema (2020-12) of what a model takes as `params`; None if the provider
        does not say. Raises Refused `provider_unreachable`."""


class Account(msgspec.Struct, frozen=True):
    """What an attempt came to, learnt after its task has ended."""

    charge: Charge | None = None
    usage: Usage | None = None


@runtime_checkable
class Fleeting(Protocol):
    """A provider some of whose runs are lost, and paid, once nobody here follows them."""

    def is_fleeting(self, handle: str) -> bool:
        """Whether this one is."""


@runtime_checkable
class Accounting(Protocol):
    """A provider that can be asked later what an attempt came to."""

    async def account(self, prediction: Prediction, handle: str | None) -> Account | None:
        """What it cost; None if that cannot be told yet. Without a handle the attempt is
        looked up by its marks. Starts nothing; raises nothing that is not a defect."""


class Delivery(msgspec.Struct, frozen=True):
    """A webhook as it came: its query, its headers (lower case) and its very bytes."""

    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes


@runtime_checkable
class Hooked(Protocol):
    """A provider that calls us back, at POST /api/webhooks/<its name>."""

    async def deliver(self, delivery: Delivery) -> None:
        """Take it in; returning is 2xx, also for what came late, twice or out of order.
        Raises Refused `unauthorized` for a signature or a time that is not right, and
        `provider_unreachable` if the key to check it by could not be had."""
