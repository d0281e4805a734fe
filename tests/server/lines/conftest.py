"""Tests of lines run on both event loops that the server runs on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import uvloop


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Asked by pytest-asyncio for every test here."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
