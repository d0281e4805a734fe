"""`safelight providers`: whether each paid provider takes the server's key, as a table."""

from __future__ import annotations

import argparse
from datetime import datetime

from ..client import Client, Provider
from . import remote
from .table import print_table
from .tasks import age_in_words
from .world import World

HEADS = ("PROVIDER", "TYPE", "STATE", "SINCE", "MODELS", "PLACES", "BREAKERS", "WHY")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser(
        "providers", help="list the server's providers, and whether they take its keys"
    )
    remote.add_options(parser)
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Print the table."""

    async def listed(client: Client) -> int:
        found = await client.providers()
        print_table(world, HEADS, [row_of(one, world.now()) for one in found])
        if not found:
            world.note("The server's settings have no [providers.<name>].")
        return 0

    return remote.ask(args, world, listed)


def row_of(provider: Provider, now: float) -> tuple[str, ...]:
    """A provider as the cells of HEADS; one with which all is well tells its address."""
    since = "-"
    if provider.since is not None:
        since = age_in_words(now - datetime.fromisoformat(provider.since).timestamp())
    places = provider.places
    waiting = f" +{places.waiting}" if places.waiting else ""
    return (
        provider.name,
        provider.type,
        provider.state,
        since,
        str(provider.models),
        f"{places.taken}/{places.of}{waiting}",
        ",".join(one.model for one in provider.breakers) or "-",
        provider.why or provider.url,
    )
