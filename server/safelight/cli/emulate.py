"""`safelight emulate NAME`: a server that speaks as a paid provider does, and costs nothing."""

from __future__ import annotations

import argparse
from pathlib import Path

from .params import BadOption
from .world import World, importing


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "emulate", help="stand in for a paid provider on loopback, without a key"
    )
    parser.add_argument("name", metavar="NAME", help="replicate, openai, anthropic, ...")
    parser.add_argument("--port", type=int, help="one per name by default, 0 for any")
    parser.add_argument("--log", metavar="FILE", help="one JSON line per request and run")
    parser.add_argument("--key", default="emulated", help="the key that is let in; emulated")
    parser.add_argument(
        "--pace", type=float, default=0.1, metavar="SECONDS", help="of one step of a run; 0.1"
    )
    parser.add_argument(
        "--chaos", type=float, default=0.0, metavar="SHARE", help="what share goes wrong by chance"
    )
    parser.add_argument("--seed", type=int, default=0, help="of what goes wrong by chance")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE][@N]",
        help="go wrong: every time, or the Nth time alone; docs/emulators.md lists all",
    )
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Serve. Exit code 0 after a signal, 1 when it cannot start. Raises BadOption."""
    # Imported here: every other command does without the server's parts.
    with importing():
        from ..emulators import PORTS
        from ..emulators.faults import BadFault
        from ..emulators.serve import CannotServe, Options, serve

    if args.name not in PORTS:
        raise BadOption(f"emulate: found {args.name!r}, expected one of {', '.join(PORTS)}")
    if args.pace < 0 or not 0 <= args.chaos <= 1:
        found = f"--pace {args.pace:g} --chaos {args.chaos:g}"
        raise BadOption(f"emulate: found {found}, expected 0 or more, and a share from 0 to 1")
    options = Options(
        name=args.name,
        port=PORTS[args.name] if args.port is None else args.port,
        log=Path(args.log) if args.log else None,
        key=args.key,
        pace=args.pace,
        chaos=args.chaos,
        seed=args.seed,
        faults=tuple(args.fault),
    )
    try:
        serve(options, world.say)
    except BadFault as trouble:
        raise BadOption(str(trouble)) from None
    except CannotServe as trouble:
        world.complain(str(trouble))
        return 1
    return 0
