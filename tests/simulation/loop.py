"""An asyncio event loop without time, sockets or threads: one seed is one schedule.

Waiting costs nothing: when nobody is ready, the clock jumps to the next timer. Callbacks
that are ready together run in an order drawn from the seed, so that a run finds orders
that asyncio itself (first come, first served) shows only under load. Plain asyncio and
anyio code runs on it unchanged. Uses three private names of asyncio's base loop
(`_ready`, `_run_once`, `_selector`), which 3.11 to 3.13 have alike.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")

MOMENT_CALLBACKS = 100_000
"""Callbacks that one moment of virtual time may take: more is a busy loop."""


class Deadlock(Exception):
    """Nothing is ready and nothing is scheduled, but somebody still waits."""


class BusyLoop(Exception):
    """Callbacks made callbacks without end while no time went by."""


class _Clock:
    """The loop's selector: there is nothing to select from, so waiting only moves time."""

    def __init__(self) -> None:
        self.now = 0.0
        self.turns = 0

    def select(self, timeout: float | None) -> list[Any]:
        if timeout is None:
            raise Deadlock
        if timeout > 0:
            self.now += timeout
            self.turns = 0
        return []

    def close(self) -> None:
        """There is nothing to close."""


class VirtualLoop(asyncio.BaseEventLoop):
    """One run's loop. `tasks` are all that were ever made on it (with their
    `contexts`), `trouble` what asyncio
    would have logged and gone on."""

    def __init__(self, seed: int | str, *, shuffled: bool = True) -> None:
        super().__init__()
        self._dice = random.Random(f"{seed} order")
        self._shuffled = shuffled
        self._virtual = _Clock()
        self._selector = self._virtual
        self._clock_resolution = 1e-6
        self._ready: deque[Any]
        self._numbers: dict[Any, int] = {}
        self.contexts: dict[Any, Context] = {}
        self.tasks: list[asyncio.Task[Any]] = []
        self.trouble: list[str] = []
        self.set_task_factory(self._make_task)
        self.set_exception_handler(self._note)

    def time(self) -> float:
        """Seconds since the beginning of this world."""
        return self._virtual.now

    def call_soon_threadsafe(self, *_: Any, **__: Any) -> NoReturn:  # type: ignore[override]
        """There are no threads here: whoever uses one cannot be simulated."""
        raise RuntimeError("a thread was used in a simulation")

    def run_in_executor(self, *_: Any, **__: Any) -> NoReturn:  # type: ignore[override]
        """As `call_soon_threadsafe`."""
        raise RuntimeError("an executor was used in a simulation")

    def breathe(self) -> None:
        """Allow this moment its full number of callbacks again."""
        self._virtual.turns = 0

    def unfinished(self) -> list[str]:
        """The names of the tasks that are still there."""
        return sorted(_told(task) for task in self.tasks if not task.done())

    def unheard(self) -> list[str]:
        """Tasks that failed without anybody asking how they ended."""
        return [
            f"{_told(task)}: {task.exception()!r}"
            for task in self.tasks
            if task.done() and getattr(task, "_log_traceback", False)
        ]

    def _run_once(self) -> None:
        self._virtual.turns += len(self._ready)
        if self._virtual.turns > MOMENT_CALLBACKS:
            raise BusyLoop(f"at {self.time():.3f} s: {', '.join(self.unfinished())}")
        if self._shuffled and len(self._ready) > 1:
            # First into an order that is the same in every process: sets of tasks, as
            # anyio and our subscriptions keep them, come in the order of addresses.
            ready = sorted(self._ready, key=self._rank)
            self._dice.shuffle(ready)
            self._ready.clear()
            self._ready.extend(ready)
        try:
            super()._run_once()
        except Deadlock:
            waiting = ", ".join(self.unfinished())
            raise Deadlock(f"at {self.time():.3f} s these wait for ever: {waiting}") from None

    def _asyncgen_finalizer_hook(self, agen: Any) -> None:
        """A generator that was left half-way; the base class would wake a sleeping thread."""
        if not self.is_closed():
            self.call_soon(self.create_task, agen.aclose())

    def _rank(self, handle: Any) -> int:
        owner = getattr(handle._callback, "__self__", None)
        return self._numbers.get(owner, -1) if isinstance(owner, asyncio.Task) else -1

    def _process_events(self, _: list[Any]) -> None:
        """Nothing is ever selected."""

    def _write_to_self(self) -> None:
        """Nobody sleeps who would have to be woken."""

    def _make_task(
        self,
        loop: asyncio.AbstractEventLoop,
        work: Coroutine[Any, Any, T],
        context: Context | None = None,
        **more: Any,
    ) -> asyncio.Task[T]:
        within = copy_context() if context is None else context
        task = asyncio.Task(work, loop=loop, context=within, **more)
        self.contexts[task] = within
        self._numbers[task] = len(self.tasks)
        self.tasks.append(task)
        return task

    def _note(self, _: asyncio.AbstractEventLoop, told: dict[str, Any]) -> None:
        self.trouble.append(f"{told['message']}: {told.get('exception')!r}")


def run(
    main: Callable[[], Coroutine[Any, Any, T]], seed: int | str = 0, *, shuffled: bool = True
) -> T:
    """Run a coroutine to its end in virtual time; what it left running is cancelled.

    Raises Deadlock, naming who waits, when time would stand still for ever.
    """
    loop = VirtualLoop(seed, shuffled=shuffled)
    try:
        return loop.run_until_complete(main())
    finally:
        end(loop)


def end(loop: VirtualLoop) -> None:
    """Cancel what is left and close the loop."""
    try:
        for _ in range(10):
            loop.breathe()
            left = [task for task in loop.tasks if not task.done()]
            if not left:
                break
            for task in left:
                task.cancel()
            loop.run_until_complete(asyncio.sleep(60))  # what closes in order may take a while
        for task in loop.tasks:  # what was cancelled with others need not be told
            if task.done() and not task.cancelled():
                task.exception()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()


def _told(task: asyncio.Task[Any]) -> str:
    work = task.get_coro()
    return f"{task.get_name()} ({getattr(work, '__qualname__', work)})"
