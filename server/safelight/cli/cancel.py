"""`safelight cancel`: ask for a task's end, wait for it, and say what came of it.

A cancel may come too late, and whether a provider really stopped is known only at the end:
so the end is waited for, and what it says is printed. Ctrl-C ends the waiting; the cancel
was asked all the same.
"""

from __future__ import annotations

import argparse

from msgspec import UNSET

from safelight_protocol.events import TERMINAL
from safelight_protocol.prices import in_dollars
from safelight_protocol.snapshot import Snapshot

from ..client import Client
from . import remote
from .bar import Bar
from .money import charge_in_words
from .world import World

UNHEARD = "Interrupted before the server answered: it may not have heard of the cancel."


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("cancel", help="end a task, and say what that saved")
    parser.add_argument("id", metavar="ID", help="the task, as `safelight tasks` lists it")
    remote.add_options(parser)
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Cancel it. Exit code 0 if it ended by a cancel, 1 if it ended otherwise."""
    bar, asked = Bar(world.err), False

    async def canceled(client: Client) -> int:
        nonlocal asked
        await client.version()  # no server at all is said at once, not after many tries
        last = await client.cancel(args.id)
        asked = True
        was_over = last.status in TERMINAL
        if not was_over:
            async for last in client.watch(args.id):
                bar.show(last)
            bar.wipe()
        return _told(world, last, was_over=was_over)

    try:
        return remote.ask(args, world, canceled)
    except KeyboardInterrupt:
        bar.wipe()
        told = f"The end of {args.id} is not waited for; what was asked stays asked."
        world.note(f"\n{told if asked else UNHEARD}")
        return remote.INTERRUPTED


def _told(world: World, end: Snapshot, *, was_over: bool) -> int:
    """How it ended, what it cost and what was saved of that."""
    if end.status != "canceled":
        late = "had" if was_over else "has"
        world.complain(f"task {end.task_id} {late} {end.status} before a cancel could end it")
    else:
        world.say(f"task {end.task_id} canceled{_certainty(end)}")
    charge = end.charge if end.settled_charge is UNSET else end.settled_charge
    if charge is not None and charge.verdict != "free":
        world.note(charge_in_words(charge))
    if end.status != "canceled":
        return 1
    if end.saved_micros is not UNSET:
        world.note(f"saved: {in_dollars(end.saved_micros)} of what it could have cost")
    elif charge is not None and charge.verdict == "unknown":
        world.note("saved: not known, since the cost is not")
    return 0


def _certainty(end: Snapshot) -> str:
    """Whether anything may still run."""
    if end.confirmed is not False:
        return ""
    return f"; {end.provider} did not confirm it, so it may run on there"
