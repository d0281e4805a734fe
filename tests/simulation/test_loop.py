"""The virtual loop itself: time, order, deadlock, and anyio on top of it."""

from __future__ import annotations

import asyncio
import itertools
import time

import anyio
import pytest

from .loop import BusyLoop, Deadlock, VirtualLoop, end, run


def order_of(seed: int, *, shuffled: bool = True) -> list[int]:
    """The order in which ten tasks, made together, come to their second step."""
    seen: list[int] = []

    async def one(number: int) -> None:
        await asyncio.sleep(0)
        seen.append(number)

    async def main() -> None:
        async with anyio.create_task_group() as group:
            for number in range(10):
                group.start_soon(one, number)

    run(main, seed, shuffled=shuffled)
    return seen


def test_an_hour_passes_at_once() -> None:
    """Sleeping moves the clock, and takes no time."""

    async def main() -> float:
        await asyncio.sleep(3600)
        return asyncio.get_running_loop().time()

    before = time.monotonic()
    assert run(main) == pytest.approx(3600)
    assert time.monotonic() - before < 5


def test_a_seed_is_one_order() -> None:
    """The same seed gives the same order, others give others, and without a shuffle it
    is asyncio's own."""
    assert order_of(7) == order_of(7)
    assert len({tuple(order_of(seed)) for seed in range(20)}) > 10
    assert order_of(7, shuffled=False) == list(range(10))


def test_waiting_for_nobody_is_told() -> None:
    """When nothing can happen any more, those who wait are named."""

    async def patient() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        await asyncio.create_task(patient(), name="the patient one")

    with pytest.raises(Deadlock, match="the patient one"):
        run(main)


def test_a_busy_loop_is_told() -> None:
    """Whoever goes on for ever without letting time pass is named, not waited for."""

    async def restless() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0)

    with pytest.raises(BusyLoop, match="restless"):
        run(restless)


def test_anyio_works_on_it() -> None:
    """Deadlines, shields, events and cancelled groups of anyio keep their meaning."""

    async def main() -> list[str]:
        told: list[str] = []
        woken = anyio.Event()

        async def waits() -> None:
            await woken.wait()
            told.append("woken")
            with anyio.CancelScope(shield=True):
                await anyio.sleep(1)
                told.append("shielded")
            await anyio.sleep(100)
            told.append("never")

        async with anyio.create_task_group() as group:
            group.start_soon(waits)
            with anyio.move_on_after(5) as limit:
                await anyio.sleep(10)
            assert limit.cancelled_caught
            woken.set()
            await anyio.sleep(0.5)
            group.cancel_scope.cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await anyio.sleep_forever()
        assert asyncio.get_running_loop().time() == pytest.approx(7)
        return told

    for seed in range(50):
        assert run(main, seed) == ["woken", "shielded"]


def test_threads_are_refused() -> None:
    """Whatever needs a thread fails at once: it could not be repeated."""

    async def main() -> None:
        await asyncio.to_thread(time.monotonic)

    with pytest.raises(RuntimeError, match="simulation"):
        run(main)


def test_what_nobody_heard_is_kept() -> None:
    """A failure that nobody asked for, and a task that was left, are both named."""

    kept: list[asyncio.Task[None]] = []

    async def fails() -> None:
        raise OSError("lost")

    async def main() -> None:
        kept.append(asyncio.create_task(fails(), name="a failure"))
        kept.append(asyncio.create_task(asyncio.sleep(50), name="a sleeper"))
        await asyncio.sleep(1)

    loop = VirtualLoop(0)
    try:
        loop.run_until_complete(main())
        assert [told.split()[0:2] for told in loop.unheard()] == [["a", "failure"]]
        assert [told.split(" (")[0] for told in loop.unfinished()] == ["a sleeper"]
    finally:
        end(loop)
