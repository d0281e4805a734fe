"""What an application of ours offers beyond ASGI: some requests answered without a call.

Our own server asks it first about requests that came whole. What it does not take, and
everything on any other ASGI server, goes the way of all requests and is answered alike.
Implemented in `hot.py`, used by `exchange.py`; it is to requests what `line.py` is to sockets.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from ..whole import Head


class Answer(Protocol):
    """An answer as it is sent, header names in lower case, its length among them."""

    status_code: int
    raw_headers: list[tuple[bytes, bytes]]
    body: bytes | memoryview[int]


Say = Callable[[Answer], None]
"""Answers a request, once."""

Client = tuple[str, int] | None
"""Who asks, as ASGI has it."""


@runtime_checkable
class Short(Protocol):
    """An application that may answer at once, or call back."""

    short_starts: tuple[bytes, ...]
    """What the requests begin with that it is worth to ask about."""

    def shortly(self, head: Head, body: bytes, client: Client, say: Say) -> bool:
        """Whether the request is taken: then it is answered by `say`, soon, perhaps before
        this returns, whether or not anybody is left to hear it. If not, nothing was done.
        Never raises."""
