"""The command line: `safelight <command>`, one small file each.

Owns the parser, the exit codes and the one place where the process's environment is
taken. 0 is success, 1 a failure that was told, 2 a wrong option or setting, 130 an
interrupt. Errors are one or two lines, never a traceback. docs/operations.md lists all.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Sequence

from .. import __version__
from ..settings import SettingsError
from . import (
    cancel,
    conformance,
    emulate,
    kerniegen,
    models,
    money,
    providers,
    remote,
    run,
    schema,
    serve,
    settings,
    tasks,
)
from .params import BadOption
from .world import World, real_world

__all__ = ["main"]


def main(argv: Sequence[str] | None = None, world: World | None = None) -> int:
    """Run one command and return its exit code; `world` is the process's own by default."""
    world = world or real_world()
    args = build_parser().parse_args(argv)
    try:
        code: int = args.act(args, world)
        return code
    except (SettingsError, BadOption) as trouble:
        world.complain(str(trouble))
        return 2
    except KeyboardInterrupt:
        return remote.INTERRUPTED
    except BrokenPipeError:
        # Whoever read us has enough (`| head`). Python would complain again at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Every command with its options."""
    parser = argparse.ArgumentParser(
        prog="safelight", description="Watch pictures, videos and texts develop, live."
    )
    parser.add_argument("--version", action="version", version=f"safelight {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for command in (
        serve,
        run,
        cancel,
        tasks,
        models,
        providers,
        money,
        settings,
        conformance,
        schema,
        kerniegen,
        emulate,
    ):
        command.add(commands)
    return parser
