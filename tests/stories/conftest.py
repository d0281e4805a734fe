"""Fixtures of the stories: a server that really listens, and the app in front of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.doubles.served import Served, served
from tests.stories.deployed_app import DeployedApp, deployed_app


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Served]:
    """A server on a machine with no provider but the built-in, scripted one."""
    async with served(tmp_path / "data") as running:
        yield running


@pytest.fixture
async def app(house: Served) -> AsyncIterator[DeployedApp]:
    """The deployed app, connected."""
    async with deployed_app(house.url) as running:
        yield running
