"""`safelight settings`: what a server started here would go by, and where each came from."""

from __future__ import annotations

import argparse

from ..settings import lines, load
from .table import print_table
from .world import World

HEADS = ("SETTING", "FROM", "OVERRIDES", "VALUE")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("settings", help="print the settings and where they come from")
    parser.add_argument("--config", metavar="FILE", help="a settings file (TOML)")
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Print every setting; secrets are masked. Raises SettingsError."""
    loaded = load(args.config, world.environ, {})
    rows = [
        (line.name, line.source, ", ".join(line.overridden) or "-", line.value)
        for line in lines(loaded)
    ]
    print_table(world, HEADS, rows)
    world.note(f"Settings file: {loaded.file or 'none'}")
    return 0
