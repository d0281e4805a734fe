"""Connections between two requests: how long they stay open.

The protocol is asked directly, with a clock that a test moves on and a transport that only
notes whether it was closed.
"""

from __future__ import annotations

from typing import Any, cast

import pytest
from uvicorn.server import ServerState

from safelight.doors import KEEP_ALIVE_SECONDS, Config, HttpProtocol
from safelight.settings import Settings
from tests.doubles.clock import ManualClock


class Transport:
    """What is left of a connection."""

    closed = False

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self.closed

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def resume_reading(self) -> None:
        """Nothing is read here."""


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def line(clock: ManualClock) -> tuple[HttpProtocol, Transport]:
    """A connection whose first request was answered just now."""
    transport = Transport()
    config = Config(None, Settings())
    config.load()
    protocol = HttpProtocol(config, ServerState(), {}, cast(Any, clock))
    protocol.transport = cast(Any, transport)
    protocol.flow = cast(Any, transport)
    protocol.on_response_complete()
    return protocol, transport


def test_an_idle_connection_is_closed_after_its_time(
    line: tuple[HttpProtocol, Transport], clock: ManualClock
) -> None:
    """Not before it has been idle for as long as is promised."""
    _, transport = line
    clock.advance(KEEP_ALIVE_SECONDS - 1)
    assert not transport.closed
    clock.advance(1)
    assert transport.closed


def test_each_request_gives_it_its_time_again(
    line: tuple[HttpProtocol, Transport], clock: ManualClock
) -> None:
    """One timer goes on over all of them, and closes nothing that was used meanwhile."""
    protocol, transport = line
    for _ in range(5):
        clock.advance(KEEP_ALIVE_SECONDS - 1)
        protocol._unset_keepalive_if_required()
        protocol.on_response_complete()
    assert (transport.closed, clock.begun < 8) == (False, True)
    clock.advance(KEEP_ALIVE_SECONDS)
    assert transport.closed


def test_a_request_that_takes_long_is_not_cut(
    line: tuple[HttpProtocol, Transport], clock: ManualClock
) -> None:
    """The connection is not idle while its answer is awaited."""
    protocol, transport = line
    protocol._unset_keepalive_if_required()
    clock.advance(10 * KEEP_ALIVE_SECONDS)
    assert not transport.closed
    protocol.on_response_complete()
    clock.advance(KEEP_ALIVE_SECONDS)
    assert transport.closed
