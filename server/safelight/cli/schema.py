"""`safelight schema`: the published schemas, types and tables, written or checked.

Knows only that they can be rendered; what they are made of is told in `safelight.schema`.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .world import World


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("schema", help="write the published schemas of a checkout")
    parser.add_argument("--check", action="store_true", help="only say what would change")
    parser.add_argument(
        "--root", type=Path, default=Path(), metavar="DIR", help="the checkout; here by default"
    )
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Write them, or with --check name those that differ and return 1 if any does."""
    return 1
