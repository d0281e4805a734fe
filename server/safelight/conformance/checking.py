"""What a check is, how it fails, and how checks are run one after another.

A check is a coroutine over an `Endpoint`; its docstring is the sentence that it holds
the endpoint to. It fails by `expect`, which says what was found. An exception of any
other kind is a failure too, told with its name: nothing that an endpoint answers may
end the run.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from types import ModuleType
from typing import Any, Literal

import anyio
import msgspec

from .endpoint import Endpoint, Unreachable

Act = Callable[[Endpoint], Awaitable[None]]


class Nonconforming(Exception):
    """The endpoint did something else than the wire says."""


class NotOffered(Exception):
    """The endpoint says that it does not have what is checked, and may say so."""


class Check(msgspec.Struct, frozen=True):
    """`name` is unique, `claim` what must be true, `section` where docs/wire.md says so."""

    name: str
    claim: str
    section: str
    act: Act


class Verdict(msgspec.Struct, frozen=True):
    """What became of one check; `found` is the evidence of a failure."""

    check: str
    claim: str
    section: str
    outcome: Literal["passed", "failed", "not offered"]
    found: str
    seconds: float


def check(section: str) -> Callable[[Act], Act]:
    """Mark a coroutine as a check of that section of docs/wire.md."""

    def marked(act: Act) -> Act:
        act.__dict__["section"] = section
        return act

    return marked


def checks_of(module: ModuleType) -> list[Check]:
    """The checks of a module, in the order in which they are written."""
    family = module.__name__.rpartition(".")[2]
    found = []
    for name, act in vars(module).items():
        section = getattr(act, "section", None)
        if section is not None:
            claim = " ".join((act.__doc__ or "").split())
            found.append(Check(f"{family}.{name}", claim, section, act))
    return found


async def run(endpoint: Endpoint, checks: Iterable[Check]) -> AsyncIterator[Verdict]:
    """Run the checks in order, each with the endpoint's patience.

    Raises Unreachable when nobody answers at the address at all.
    """
    for one in checks:
        began = time.monotonic()
        outcome, found = await _verdict(endpoint, one)
        seconds = round(time.monotonic() - began, 3)
        with anyio.move_on_after(endpoint.patience):
            await endpoint.tidy()
        yield Verdict(one.name, one.claim, one.section, outcome, found, seconds)


async def _verdict(
    endpoint: Endpoint, one: Check
) -> tuple[Literal["passed", "failed", "not offered"], str]:
    try:
        with anyio.fail_after(endpoint.patience):
            await one.act(endpoint)
    except Unreachable:
        raise
    except NotOffered as absent:
        return "not offered", str(absent)
    except Nonconforming as wrong:
        return "failed", str(wrong)
    except TimeoutError:
        return "failed", f"nothing came within {endpoint.patience:g} s"
    except Exception as trouble:
        return "failed", f"{type(trouble).__name__}: {trouble}"
    return "passed", ""


def expect(found: Any, expected: Any, what: str) -> None:
    """Fail unless both are equal."""
    if found != expected:
        raise Nonconforming(f"{what}: found {shown(found)}, expected {shown(expected)}")


def expect_that(holds: bool, what: str, found: Any = None) -> None:
    """Fail unless it holds; `what` is the sentence that does not."""
    if not holds:
        raise Nonconforming(what if found is None else f"{what}: found {shown(found)}")


def shown(value: Any, width: int = 160) -> str:
    """A value as evidence shows it."""
    text = value if isinstance(value, str) else repr(value)
    return text if len(text) <= width else text[: width - 1] + "…"
