"""What a command is given of the world outside: environment, streams, clock.

Owns how lines reach a person: text that came from a server may hold anything, so what
could move a terminal's cursor or change its title is taken out before it is shown.
"""

from __future__ import annotations

import gc
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TextIO

import msgspec

FALLBACK_COLUMNS = 200
REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class World(msgspec.Struct, frozen=True):
    """`out` is for results, `err` for everything said about them; `now` is in seconds
    since 1970."""

    environ: Mapping[str, str]
    out: TextIO
    err: TextIO
    now: Callable[[], float]

    def say(self, text: str) -> None:
        """One line of the result, at once."""
        print(shown(text), file=self.out, flush=True)

    def note(self, text: str) -> None:
        """One line about the result."""
        print(shown(text), file=self.err, flush=True)

    def complain(self, text: str) -> None:
        """One line about what went wrong."""
        self.note(f"safelight: {text}")


@contextmanager
def importing() -> Iterator[None]:
    """Around the import of a server's parts: they stay, so no garbage is looked for among them."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def real_world() -> World:
    """The process's own. What its encoding has no sign for is written as its number."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")
    return World(os.environ, sys.stdout, sys.stderr, time.time)


def shown(text: str) -> str:
    """Text without control characters; line breaks and tabs stay."""
    return "".join(
        c if c.isprintable() or c in "\n\t" else "\N{REPLACEMENT CHARACTER}" for c in text
    )


def one_line(text: str, width: int) -> str:
    """Text on one line of at most `width` characters."""
    flat = shown(text).replace("\n", " ").replace("\t", " ")
    return flat if len(flat) <= width else flat[: max(0, width - 1)] + "…"


def columns(stream: TextIO) -> int:
    """How wide the terminal is; 200 where there is none, or where it does not say."""
    try:
        return os.get_terminal_size(stream.fileno()).columns or FALLBACK_COLUMNS
    except (OSError, ValueError):
        return FALLBACK_COLUMNS
