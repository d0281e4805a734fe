"""What the commands that ask a server share: its address, the client, and its refusals.

Owns the options --server and --token, and how each trouble of the client is told in
one or two lines. Knows no command.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from ..client import (
    Client,
    Damaged,
    NotOpen,
    RequestRefused,
    Unreachable,
    WrongAnswer,
    connect,
)
from ..settings import Remote, load_remote
from .world import World

Line = Callable[[bool], None]

HINTS = {
    "inputs": "Say what it starts from with --input: a file, an address, or task:ID.",
    "max_cost": "Agree to a price with --max-cost, or ask for a budget: docs/money.md.",
}
"""Options by the fields of a request that they stand for, where the names do not tell."""

INTERRUPTED = 130
"""What shells report for a program that Ctrl-C ended."""


def add_options(parser: argparse.ArgumentParser) -> None:
    """--server and --token, for a command that asks a server."""
    parser.add_argument(
        "--server",
        "--url",
        dest="server",
        metavar="URL",
        help=f"the server's address, or SAFELIGHT_URL; {Remote().url} by default",
    )
    parser.add_argument(
        "--token", metavar="T", help="a bearer token; better in SAFELIGHT_TOKEN than here"
    )


def remote_of(args: argparse.Namespace, world: World) -> Remote:
    """Which server is meant. Raises SettingsError."""
    return load_remote(world.environ, args.server, args.token)


def ask(args: argparse.Namespace, world: World, act: Callable[[Client], Awaitable[int]]) -> int:
    """Do something with a client and return the exit code; troubles are told."""
    remote = remote_of(args, world)
    return asyncio.run(with_client(remote, world, act))


async def with_client(
    remote: Remote,
    world: World,
    act: Callable[[Client], Awaitable[int]],
    on_line: Line = lambda up: None,
) -> int:
    """The same inside an event loop; `on_line` hears whether the socket is up."""
    try:
        async with connect(remote.url, remote.token, on_line=on_line) as client:
            return await act(client)
    except Unreachable as trouble:
        world.complain(str(trouble))
        world.note("Start one with `safelight serve` (or `make serve`), or name it with --server.")
    except RequestRefused as refused:
        world.complain(f"refused ({refused.code}): {refused.message}")
        if len(refused.details) > 1:  # the message tells the first
            for detail in refused.details:
                world.note(f"  {_told(detail)}")
        hint = _hint(refused)
        if hint is not None:
            world.note(hint)
    except (WrongAnswer, Damaged, NotOpen) as trouble:
        world.complain(str(trouble))
    return 1


def _hint(refused: RequestRefused) -> str | None:
    """What to type instead, where the server's word is about a field that has an option."""
    if refused.code == "unauthorized":
        return "Give a token with SAFELIGHT_TOKEN or --token."
    fields = {str(detail.get("field", "")).partition(".")[0] for detail in refused.details}
    return next((hint for field, hint in HINTS.items() if field in fields), None)


def _told(detail: dict[str, Any]) -> str:
    field, found = detail.get("field", "request"), detail.get("found")
    expected = detail.get("expected")
    words = [str(field) + ":"] + ([] if found is None else [f"found {found}"])
    return " ".join(words) + ("" if expected is None else f", expected {expected}")
