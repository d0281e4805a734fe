"""A start whose answer was lost, looked for in the list of what this account has begun.

A prediction is an attempt's if it carries its mark in the address of its webhook. Where no
address is told, it is if its input is equal, and nobody else is known to own it: the seed
is part of the input, so that only requests without one can be equal by chance.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Protocol
from urllib.parse import parse_qsl, urlsplit

import msgspec

from ..http import PASSING, Trouble
from .fitting import Fit
from .memory import Attempt
from .models import Model
from .wire import Page, Snapshot

MOST_PAGES = 30
"""Of a hundred each; whoever begins more within a minute is not looked for in vain, but told
that it is not clear."""

MOST_TRIES = 4
"""At one page: a list is long, and one page that is refused must not cost all that was read."""

SECONDS = len("2026-11-21T12:00:00")

Rest = Callable[[int, float | None], Awaitable[None]]
"""Pause after so many troubles in a row, and as long as the other side wishes."""


class Lister(Protocol):
    """What of a client is needed here."""

    async def predictions(self, created_after: str) -> Page: ...
    async def more(self, next: str) -> Page: ...


class TooMany(Exception):
    """The list is longer than we read."""


class Sought(msgspec.Struct, frozen=True):
    """What is looked for: an attempt, what it was given, if that can still be told, and since
    when, in milliseconds since 1970."""

    attempt: Attempt
    given: tuple[Model, Fit] | None
    since: int


async def find(
    client: Lister, sought: Sought, is_anothers: Callable[[str], bool], rest: Rest
) -> Snapshot | None:
    """The attempt's prediction; None if there is none. Raises Trouble and TooMany."""
    since = time_of(sought.since)
    page = await _page(partial(client.predictions, since), rest)
    for _ in range(MOST_PAGES):
        for one in page.predictions:
            if is_ours(one, sought) and not is_anothers(one.id):
                return one
        oldest = page.predictions[-1].created_at if page.predictions else ""
        if page.next is None or (oldest and _is_before(oldest, since)):
            return None
        page = await _page(partial(client.more, page.next), rest)
    raise TooMany


async def _page(ask: Callable[[], Awaitable[Page]], rest: Rest) -> Page:
    """A page, asked for until it comes. Raises Trouble that does not pass."""
    for tries in range(1, MOST_TRIES):
        try:
            return await ask()
        except Trouble as trouble:
            if trouble.status is not None and trouble.status not in PASSING:
                raise
            await rest(tries, trouble.fault.wait)
    return await ask()


def is_ours(found: Snapshot, sought: Sought) -> bool:
    """Whether a prediction is that of an attempt."""
    if found.webhook:
        return marks_in(found.webhook) == sought.attempt
    if found.created_at and _is_before(found.created_at, time_of(sought.since)):
        return False
    if sought.given is None:
        return False
    model, fit = sought.given
    route = model.route
    runs_it = route.model in (None, found.model)
    is_it = not route.pinned or found.version in ("hidden", route.version)
    return runs_it and is_it and _is_equal(found, model, fit)


def marks_in(webhook: str) -> Attempt | None:
    """The task and the attempt that the address of a webhook names."""
    return marks_of(dict(parse_qsl(urlsplit(webhook).query)))


def marks_of(query: Mapping[str, str]) -> Attempt | None:
    """The same of its query alone."""
    task, attempt = query.get("task", ""), query.get("attempt", "")
    if not task or not (attempt.isascii() and attempt.isdigit() and len(attempt) < 9):
        return None
    return task, int(attempt)


def time_of(milliseconds: int) -> str:
    """As Replicate writes times."""
    at = datetime.fromtimestamp(milliseconds / 1000, UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _is_before(one: str, other: str) -> bool:
    """By whole seconds: the rest of them is written in several ways."""
    return one[:SECONDS] < other[:SECONDS]


def _is_equal(found: Snapshot, model: Model, fit: Fit) -> bool:
    """Whether it was given what we would give. A file may have got another address since, and
    a default may have been filled in."""
    files = {where.field for where in fit.placed}
    given = {name: value for name, value in found.input.items() if name not in files}
    if files - found.input.keys() or fit.values.keys() - given.keys():
        return False
    fields = {} if model.shape is None else model.shape.fields
    defaults = {name: field.get("default") for name, field in fields.items()}
    expected = defaults | fit.values
    return all(value == expected.get(name) for name, value in given.items())
