"""`safelight tasks`: one's own tasks, newest first, as a table."""

from __future__ import annotations

import argparse
from datetime import datetime

from safelight_protocol.snapshot import Snapshot

from ..client import Client
from . import remote
from .table import print_table
from .world import World

HEADS = ("ID", "STATUS", "PROGRESS", "KIND", "MODEL", "AGE", "PROMPT")
MAX_LIMIT = 200


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("tasks", help="list your tasks, newest first")
    parser.add_argument(
        "--limit", type=_limit, default=20, metavar="N", help="how many, 1 to 200; 20 by default"
    )
    remote.add_options(parser)
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Print the table."""

    async def listed(client: Client) -> int:
        page = await client.tasks(args.limit)
        print_table(world, HEADS, [row_of(task, world.now()) for task in page.tasks])
        if page.next is not None:
            world.note(f"There are more than {args.limit}: see --limit.")
        return 0

    return remote.ask(args, world, listed)


def row_of(task: Snapshot, now: float) -> tuple[str, ...]:
    """A task as the cells of HEADS."""
    status = "canceling" if task.canceling and task.status == "processing" else task.status
    age = now - datetime.fromisoformat(task.created_at).timestamp()
    prompt = str(task.input_data.get("prompt", ""))
    progress = f"{task.progress:.0%}"
    return (task.task_id, status, progress, task.kind, task.model, age_in_words(age), prompt)


def age_in_words(seconds: float) -> str:
    """`42s`, `7m`, `3h` or `12d`; clocks that disagree make no negative ages."""
    whole = max(0, int(seconds))
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60)):
        if whole >= size:
            return f"{whole // size}{unit}"
    return f"{whole}s"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= MAX_LIMIT):
        raise argparse.ArgumentTypeError(f"found {text}, expected a number from 1 to {MAX_LIMIT}")
    return int(text)
