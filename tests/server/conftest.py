"""Fixtures of the server's tests: a server that really listens."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from safelight import telemetry
from tests.doubles.served import Served, served


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    """A server with a scripted provider and an empty data directory."""
    async with served(tmp_path / "data") as running:
        yield running


@pytest.fixture(autouse=True)
def plain_log() -> None:
    """Log lines go to standard output, whatever an earlier test of the process set up."""
    telemetry.reset()
