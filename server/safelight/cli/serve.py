"""`safelight serve`: the server, until a signal ends it."""

from __future__ import annotations

import argparse

from ..settings import load
from .world import World, importing


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("serve", help="run the server and its page")
    parser.add_argument("--host", help="the address to listen on; 127.0.0.1 by default")
    parser.add_argument("--port", help="the port; 4747 by default, 0 for any free one")
    parser.add_argument("--data-dir", help="where tasks and files are kept; ./data by default")
    parser.add_argument("--config", metavar="FILE", help="a settings file (TOML)")
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Serve. Exit code 0 after a signal, 1 when it cannot start. Raises SettingsError."""
    given = {"host": args.host, "port": args.port, "data_dir": args.data_dir}
    settings = load(args.config, world.environ, given).settings
    # Imported here: every other command does without the server's parts.
    with importing():
        from ..serve import CannotServe, serve

    try:
        serve(settings, world.say)
    except CannotServe as trouble:
        world.complain(str(trouble))
        return 1
    return 0
