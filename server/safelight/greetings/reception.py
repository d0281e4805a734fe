"""How one provider takes us, and what the next word of it makes of that.

The last word counts, whether a greeting brought it or a real request, with one exception: a
refusal that no greeting can see (credit, rights, a key that is not asked for) is not undone
by one. And where one run was taken, a request whose rights do not suffice speaks for itself
alone: nobody makes a provider look refused to all by asking for what is not ours. Pure; the
sentences are made here, with the setting that each is about.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from ..providers.base import Again, Done, Never, Outcome
from ..providers.greeting import Answer, Away, Denied, Welcome

State = Literal["unknown", "up", "refused", "unreachable"]

NOT_TAKEN = {
    "key": "key was not accepted",
    "credit": "account has no credit for what was asked",
    "rights": "key may not do what was asked",
}


class Reception(msgspec.Struct, frozen=True, kw_only=True):
    """`since` is when the state began, in milliseconds since 1970; `why` says what is wrong and
    names the setting. A `lasting` one is only undone by a request that was taken; one that is
    `proven` is up because of such a request."""

    state: State = "unknown"
    since: int | None = None
    why: str | None = None
    lasting: bool = False
    proven: bool = False

    @property
    def is_open(self) -> bool:
        """Whether a greeting could tell more."""
        return self.state != "up" and not self.lasting


class Whom(msgspec.Struct, frozen=True):
    """A provider as its operator knows it: the name of its table, and its address."""

    name: str
    url: str


def said_in(outcome: Outcome) -> Answer | None:
    """What the outcome of a run says of us, if anything."""
    match outcome:
        case Done():
            return Welcome()
        case Never(denied=Denied() as denied):
            return denied
        case Again(code="provider_unreachable"):
            return Away(outcome.message.partition(": ")[2] or outcome.message)
    return None


def greeted(before: Reception, answer: Answer, whom: Whom, now: int) -> Reception:
    """After a greeting was answered so."""
    if before.lasting and isinstance(answer, Welcome):
        return before
    found = _found(answer, whom)
    return _since(before, found, now)


def heard(before: Reception, said: Answer, whom: Whom, now: int, *, proves: bool) -> Reception:
    """After a real request was answered so. Without `proves` a greeting of this provider proves
    no key, so that none undoes what is said of it here."""
    found = msgspec.structs.replace(_found(said, whom), proven=isinstance(said, Welcome))
    if isinstance(said, Denied) and said.about == "rights" and before.proven:
        return before
    if isinstance(said, Denied) and (said.about != "key" or not proves):
        found = msgspec.structs.replace(found, lasting=True)
    return _since(before, found, now)


def _found(said: Answer, whom: Whom) -> Reception:
    match said:
        case Welcome():
            return Reception(state="up")
        case Denied(status, about, word):
            why = f"[providers.{whom.name}] {NOT_TAKEN[about]} ({status})"
            return Reception(state="refused", why=f"{why}: {word}" if word else why)
        case Away(why):
            told = f"[providers.{whom.name}] url {whom.url} cannot be reached: {why}"
            return Reception(state="unreachable", why=told)


def _since(before: Reception, found: Reception, now: int) -> Reception:
    began = before.since if before.state == found.state else now
    return msgspec.structs.replace(found, since=began)
