"""The emulator that a file of tests drives by an SDK: `EMULATOR` there is its name."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.emulated import Emulated, emulated


@pytest.fixture(scope="module")
def lasting(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Emulated]:
    """One process for all tests of a file."""
    name: str = request.module.EMULATOR
    with emulated(tmp_path_factory.mktemp(name), name) as emulator:
        yield emulator


@pytest.fixture
def emulator(lasting: Emulated) -> Iterator[Emulated]:
    """The same process for all tests, with no fault left from the one before."""
    yield lasting
    lasting.disarm()
