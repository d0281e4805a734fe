"""`safelight schema`: what is generated from the types and tables, written or checked.

Owns the writing only; what the files hold is made by `safelight.schema`. For a checkout
of the source: a wheel carries no documents.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from .world import World


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("schema", help="write the generated schemas and documents")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 if any would change"
    )
    parser.add_argument(
        "--root", type=Path, metavar="DIR", help="the checkout; by default this code's own"
    )
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Write the files that differ, or with --check only name them."""
    # Imported here: it reads the server's types, which no other command needs.
    from ..schema import BadMarkers, NoCheckout, checkout, differing, files

    try:
        root = args.root or checkout()
        stale = differing(root)
        texts = files(root)
    except (NoCheckout, BadMarkers) as trouble:
        world.complain(str(trouble))
        return 1
    for path in stale:
        if not args.check:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(texts[path], encoding="utf-8")
        world.say(f"{'differs' if args.check else 'written'}: {path}")
    if stale and args.check:
        world.complain("generated files differ; `safelight schema` writes them")
        return 1
    return 0
