"""`safelight kerniegen`: a ComfyUI-compatible server that paints with the local brush."""

from __future__ import annotations

import argparse
from pathlib import Path

from ..kerniegen.options import CHECKPOINTS, LORAS, VERSIONS, Options
from .params import BadOption
from .world import World, importing


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "kerniegen", help="run a ComfyUI-compatible server that needs no graphics card"
    )
    parser.add_argument("--host", default="127.0.0.1", help="127.0.0.1 by default")
    parser.add_argument("--port", type=int, default=8189, help="8189 by default, 0 for any")
    parser.add_argument(
        "--data-dir", default="kerniegen-data", help="input, output and temp; ./kerniegen-data"
    )
    parser.add_argument(
        "--step-seconds", type=float, default=0.05, help="the least time of a step; 0.05"
    )
    parser.add_argument("--previews", choices=("auto", "none"), default="auto")
    parser.add_argument("--version", choices=tuple(VERSIONS), default="0.33", dest="release")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="NAME[=VALUE][@N]",
        help="go wrong: every time, or the Nth time alone; docs/kerniegen.md lists all",
    )
    for kind in ("checkpoint", "lora"):
        parser.add_argument(
            f"--{kind}",
            action="append",
            metavar="NAME",
            help="offer this one instead of its own; again for more, empty for none",
        )
    parser.add_argument(
        "--client-id-bug",
        choices=("on", "off"),
        default="on",
        help="whether a client's older socket deafens its newer one, as in the real server",
    )
    parser.add_argument("--log", metavar="FILE", help="one JSON line per request and run")
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Serve. Exit code 0 after a signal, 1 when it cannot start. Raises BadOption."""
    # Imported here: every other command does without the server's parts.
    with importing():
        from ..kerniegen.faults import BadFault
        from ..kerniegen.serve import CannotServe, serve

    options = Options(
        data_dir=Path(args.data_dir),
        host=args.host,
        port=args.port,
        step_seconds=args.step_seconds,
        previews=args.previews,
        version=args.release,
        faults=tuple(args.fault),
        checkpoints=_named(args.checkpoint, CHECKPOINTS),
        loras=_named(args.lora, LORAS),
        client_id_bug=args.client_id_bug == "on",
        log=Path(args.log) if args.log else None,
    )
    try:
        serve(options, world.say)
    except BadFault as trouble:
        raise BadOption(str(trouble)) from None
    except CannotServe as trouble:
        world.complain(str(trouble))
        return 1
    return 0


def _named(given: list[str] | None, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    return otherwise if given is None else tuple(name for name in given if name)
