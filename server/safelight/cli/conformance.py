"""`safelight conformance URL`: does an endpoint speak the wire of docs/wire.md?

Prints one line a check as it is done, failures with their evidence, then the count. Exit
code 0 only when nothing failed.
"""

from __future__ import annotations

import argparse
import asyncio

import msgspec

from .. import conformance
from ..conformance import Endpoint, Unreachable, Verdict
from ..settings import load_remote
from .params import named_values
from .world import World

MARKS = {"passed": "ok", "failed": "FAILED", "not offered": "absent"}


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "conformance",
        help="check that an endpoint speaks Safelight's wire",
        description="Black-box checks of an endpoint. They make small tasks of their own.",
    )
    parser.add_argument("url", metavar="URL", nargs="?", help="the endpoint, or SAFELIGHT_URL")
    parser.add_argument("--list", action="store_true", help="only tell which checks there are")
    parser.add_argument("--token", metavar="T", help="a bearer token, or SAFELIGHT_TOKEN")
    parser.add_argument(
        "--kind", choices=("image", "video", "text"), default="text", help="of the tasks it makes"
    )
    parser.add_argument("--model", help="the model of the tasks it makes: a cheap and quick one")
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter of theirs"
    )
    parser.add_argument(
        "--slow-param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a parameter with which a task runs until it is cancelled",
    )
    parser.add_argument("--only", metavar="WORD", help="checks whose name contains it")
    parser.add_argument("--patience", type=float, default=60.0, help="seconds for one check")
    parser.add_argument("--json", action="store_true", help="one JSON object a line instead")
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Run the checks, or list them."""
    chosen = [one for one in conformance.CHECKS if (args.only or "") in one.name]
    if not chosen:
        world.complain(f"no check has {args.only} in its name")
        return 2
    if args.list:
        for one in chosen:
            world.say(f"{one.name}: {one.claim}")
        return 0
    return asyncio.run(_checked(args, world, chosen))


async def _checked(args: argparse.Namespace, world: World, chosen: list[conformance.Check]) -> int:
    remote = load_remote(world.environ, args.url, args.token)
    tasks = {"kind": args.kind, "model": args.model, "params": named_values(args.param) or None}
    slow = named_values(args.slow_param)
    verdicts: list[Verdict] = []
    try:
        async with conformance.connect(
            remote.url, remote.token, tasks=tasks, slow=slow, patience=args.patience
        ) as endpoint:
            await _run(args, world, endpoint, chosen, verdicts)
    except Unreachable as trouble:
        world.complain(str(trouble))
        world.note("Start a server with `safelight serve` (or `make serve`), or name another URL.")
        return 1
    if not args.json:
        world.say(_summary(verdicts))
    return 1 if any(one.outcome == "failed" for one in verdicts) else 0


async def _run(
    args: argparse.Namespace,
    world: World,
    endpoint: Endpoint,
    chosen: list[conformance.Check],
    verdicts: list[Verdict],
) -> None:
    width = max(len(one.name) for one in chosen)
    async for verdict in conformance.run(endpoint, chosen):
        verdicts.append(verdict)
        if args.json:
            world.say(msgspec.json.encode(verdict).decode())
            continue
        mark = MARKS[verdict.outcome].ljust(6)
        world.say(f"{mark}  {verdict.check.ljust(width)}  {verdict.claim}")
        if verdict.outcome != "passed":
            world.say(f"        {verdict.found}  (docs/wire.md, {verdict.section})")


def _summary(verdicts: list[Verdict]) -> str:
    counted = {
        outcome: sum(one.outcome == outcome for one in verdicts)
        for outcome in ("passed", "failed", "not offered")
    }
    seconds = sum(one.seconds for one in verdicts)
    told = ", ".join(f"{count} {outcome}" for outcome, count in counted.items())
    return f"{len(verdicts)} checks: {told} in {seconds:.1f} s"
