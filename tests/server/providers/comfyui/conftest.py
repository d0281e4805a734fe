"""Fixtures of the adapter's tests: a double that does as told, and an adapter on it."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.doubles.comfy import ComfyDouble, comfy
from tests.doubles.comfy_rig import Rig, rigged


@pytest.fixture
async def double() -> AsyncIterator[ComfyDouble]:
    """A server that does as told."""
    async with comfy() as server:
        yield server


@pytest.fixture
async def rig(double: ComfyDouble) -> AsyncIterator[Rig]:
    """An adapter on it."""
    async with rigged(double) as made:
        yield made
