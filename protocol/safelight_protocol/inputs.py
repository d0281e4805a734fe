"""What can happen to a task. Inputs feed the table in `lifecycle.py`.

Each is named as a fact. They come from three places only: the dispatcher
(Claimed, Waiting), a caller (CancelAsked) and the runner of the prediction that
is now under way (all others, always together with its attempt number).
"""

from __future__ import annotations

import msgspec

from .charges import FREE
from .events import Artifact, Charge, ErrorData, Eta, ResultData
from .task import Resolved


class Waiting(msgspec.Struct, frozen=True):
    """The task cannot run yet, for this reason."""

    reason: str
    eta: Eta | None = None


class Claimed(msgspec.Struct, frozen=True):
    """A runner took the task. `deadline` is when the attempt must have ended; `place` is the
    address of the backend that it will run on, None where there is no backend. `via` is what
    it was taken for where that changed while it waited: its host takes nobody, an equal does."""

    deadline: int | None = None
    place: str | None = None
    via: Resolved | None = None


class HandleSaved(msgspec.Struct, frozen=True):
    """The provider accepted the prediction and gave its own id for it."""

    handle: str


class Progressed(msgspec.Struct, frozen=True):
    """The prediction moved on; `progress` 0 to 1, or None where it is not known."""

    progress: float | None = None
    step: int | None = None
    steps: int | None = None
    message: str | None = None
    eta: Eta | None = None


class Wrote(msgspec.Struct, frozen=True):
    """More text."""

    delta: str


class Produced(msgspec.Struct, frozen=True):
    """A result file, already on our disk."""

    artifact: Artifact


class Finished(msgspec.Struct, frozen=True):
    """The prediction is done and everything it made is ours."""

    result: ResultData
    charge: Charge = FREE


class Faulted(msgspec.Struct, frozen=True):
    """The attempt failed in a way that may pass; the next one begins at `retry_at`, with
    `seed` if another one had to be drawn, and by `via` if it goes to another host."""

    error: ErrorData
    retry_at: int
    seed: int | None = None
    charge: Charge = FREE
    via: Resolved | None = None


class Lost(msgspec.Struct, frozen=True):
    """The prediction is gone, and it never started or costs nothing to start again."""

    error: ErrorData
    retry_at: int
    charge: Charge = FREE


class InDoubt(msgspec.Struct, frozen=True):
    """It cannot be told whether the prediction runs, and a second one could be billed."""


class GaveUp(msgspec.Struct, frozen=True):
    """There will be no further attempt."""

    error: ErrorData
    charge: Charge = FREE


class Stopped(msgspec.Struct, frozen=True):
    """The provider confirms that the prediction ended by a cancel."""

    charge: Charge = FREE


class CancelAsked(msgspec.Struct, frozen=True):
    """Somebody asked for the end."""

    by: str = "owner"


Happening = (
    Waiting
    | Claimed
    | HandleSaved
    | Progressed
    | Wrote
    | Produced
    | Finished
    | Faulted
    | Lost
    | InDoubt
    | GaveUp
    | Stopped
    | CancelAsked
)

HAPPENINGS: tuple[type[Happening], ...] = (
    Waiting,
    Claimed,
    HandleSaved,
    Progressed,
    Wrote,
    Produced,
    Finished,
    Faulted,
    Lost,
    InDoubt,
    GaveUp,
    Stopped,
    CancelAsked,
)
"""Every kind of input, in the order of a task's life: the columns of the table."""
