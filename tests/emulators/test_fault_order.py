"""Faults of one request are counted together, whichever of them strikes."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.emulators.anthropic import desk as anthropic
from safelight.emulators.bench import Bench
from safelight.emulators.faults import Faults
from safelight.emulators.gemini import desk as gemini
from safelight.emulators.openai import desk as openai
from safelight.emulators.openai.errors import prompt_blocked
from safelight.emulators.runs import RunLog

Asked = Callable[[Any], object]

DESKS: Mapping[str, tuple[Any, Asked]] = {
    "openai": (openai, lambda desk: desk.fault_of_create(prompt_blocked())),
    "anthropic": (anthropic, lambda desk: desk.fault_of_create()),
    "gemini": (gemini, lambda desk: desk.fault_of_create()),
}


@contextmanager
def desk_of(module: Any, folder: Path, *armed: str) -> Iterator[Any]:
    """A desk at which these go wrong."""
    faults = Faults(module.FAULTS)
    faults.arm(armed)
    log = RunLog(folder / "log")
    try:
        yield module.Desk(Bench(log=log, faults=faults))
    finally:
        log.close()


def status(ask: Callable[[], object]) -> int | None:
    """That of the answer which is given in place of another."""
    try:
        answer = ask()
    except Exception as refusal:
        answer = getattr(refusal, "response", refusal)
    return getattr(answer, "status_code", None)


@pytest.mark.parametrize("name", DESKS)
def test_the_second_create_is_the_second(name: str, tmp_path: Path) -> None:
    """What is armed for it is not late because the first was refused for another reason."""
    module, asked = DESKS[name]
    faults = ("unauthorized@1", "no-credit@3", "throttle@2")
    with desk_of(module, tmp_path, *faults) as desk:
        first, second, third, fourth = (status(lambda: asked(desk)) for _ in range(4))
    assert (second, fourth) == (429, None)
    assert first in (400, 401)
    assert third in (402, 429)


def test_the_second_question_is_the_second(tmp_path: Path) -> None:
    """One about a response, too."""
    with desk_of(openai, tmp_path, "gone@1", "http-500=get@2") as desk:
        assert [status(lambda: desk.fault_of_other("get")) for _ in range(3)] == [404, 500, None]
