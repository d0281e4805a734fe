"""What runs outside of tasks knows its loop, whatever the SDKs of providers have installed."""

from __future__ import annotations

import asyncio

import anyio
import pytest
import sniffio

from safelight.sniffed import named_loop


async def in_a_callback() -> str:
    """What anyio's cancel scopes meet in a callback of the loop."""
    loop = asyncio.get_running_loop()
    heard: asyncio.Future[str] = loop.create_future()

    def callback() -> None:
        try:
            anyio.CancelScope()
        except anyio.NoEventLoopError:
            heard.set_result("no loop")
        else:
            heard.set_result("a loop")

    loop.call_soon(callback)
    return await heard


async def test_a_callback_knows_its_loop() -> None:
    """A callback may use anyio as long as a server runs, and no longer."""
    assert await in_a_callback() == "no loop"
    with named_loop():
        assert await in_a_callback() == "a loop"
    assert await in_a_callback() == "no loop"


async def test_servers_may_end_in_any_order() -> None:
    """Of two servers in one thread the one that goes on keeps its loop's name."""
    first, second = named_loop(), named_loop()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert await in_a_callback() == "a loop"
    second.__exit__(None, None, None)
    assert await in_a_callback() == "no loop"


def test_nothing_is_left_behind() -> None:
    """Where no server runs any more sniffio finds no loop."""
    with named_loop():
        assert sniffio.current_async_library() == "asyncio"
    with pytest.raises(sniffio.AsyncLibraryNotFoundError):
        sniffio.current_async_library()
