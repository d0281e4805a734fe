"""Which event loop runs here, told to anyio where another package has brought sniffio.

Some providers' SDKs bring `sniffio`, and with it installed anyio believes what that says:
that no loop runs wherever there is no current task, as in the callbacks of protocols and
commits, where much of this server does its work. As long as a server runs, sniffio is told.
Knows nothing else.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

try:
    import sniffio
except ModuleNotFoundError:  # pragma: no cover - which of the two depends on what is installed
    sniffio = None  # type: ignore[assignment]


class _Here(threading.local):
    """How many servers run in this thread."""

    servers = 0


_here = _Here()


@contextmanager
def named_loop() -> Iterator[None]:
    """In here the loop of this thread is asyncio's, whoever asks from wherever. Several may
    be open at a time, in any order."""
    _here.servers += 1
    _tell("asyncio")
    try:
        yield
    finally:
        _here.servers -= 1
        if not _here.servers:
            _tell(None)


def _tell(name: str | None) -> None:
    if sniffio is not None:
        sniffio.thread_local.name = name
