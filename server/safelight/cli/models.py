"""`safelight models`: what can be asked for, as a table."""

from __future__ import annotations

import argparse

from ..client import Client, Model
from . import remote
from .table import print_table
from .world import World

HEADS = ("MODEL", "KIND", "PROVIDER", "PRICE", "USABLE", "LABEL")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("models", help="list the models that the server knows")
    parser.add_argument("--kind", choices=("image", "video", "text"), help="those of one kind")
    remote.add_options(parser)
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Print the table."""

    async def listed(client: Client) -> int:
        print_table(world, HEADS, [row_of(model) for model in await client.models(args.kind)])
        return 0

    return remote.ask(args, world, listed)


def row_of(model: Model) -> tuple[str, ...]:
    """A model as the cells of HEADS."""
    usable = "default" if model.default else "yes" if model.usable else "no"
    price = price_in_words(model.price)
    return (model.name, model.kind, model.provider, price, usable, model.label)


def price_in_words(price: float | None) -> str:
    """US dollars for one result; nothing where the server does not know."""
    if price is None:
        return "unknown"
    return "free" if price == 0 else f"${price:.4f}".rstrip("0").rstrip(".")
