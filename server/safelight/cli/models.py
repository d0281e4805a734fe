"""`safelight models`: what can be asked for, as a table; with a name, what that one takes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from ..client import Client, Model
from . import remote
from .table import print_table
from .world import World

HEADS = ("MODEL", "KIND", "PROVIDER", "BACKENDS", "PRICE", "USABLE", "LABEL")
PARAM_HEADS = ("PARAM", "TYPE", "DEFAULT", "TAKES", "MEANING")


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("models", help="list the models that the server knows")
    parser.add_argument("name", nargs="?", help="only this one, and the parameters it takes")
    parser.add_argument("--kind", choices=("image", "video", "text"), help="those of one kind")
    parser.add_argument("--json", action="store_true", help="the schema of NAME, as JSON Schema")
    remote.add_options(parser)
    parser.set_defaults(act=act)


def act(args: argparse.Namespace, world: World) -> int:
    """Print the table, or the parameters of one."""

    async def listed(client: Client) -> int:
        print_table(world, HEADS, [row_of(model) for model in await client.models(args.kind)])
        return 0

    async def one(client: Client) -> int:
        schema = await client.schema(args.name)
        if args.json:
            world.say(json.dumps(schema, indent=2, ensure_ascii=False))
            return 0
        world.say(f"{schema.get('x-model', args.name)}: {schema.get('title', '')}")
        required = schema.get("required", [])
        rows = [
            param_row(name, field, required=name in required)
            for name, field in schema.get("properties", {}).items()
        ]
        print_table(world, PARAM_HEADS, rows)
        if schema.get("additionalProperties"):
            world.note("Other parameters are handed on as they are.")
        return 0

    return remote.ask(args, world, one if args.name else listed)


def row_of(model: Model) -> tuple[str, ...]:
    """A model as the cells of HEADS."""
    by_use = model.price is None and model.pricing is not None
    price = "by use" if by_use else price_in_words(model.price)
    price += ", VIP" if model.vip else ""
    backends = ",".join(model.backends) or "-"
    return (
        model.name,
        model.kind,
        model.provider,
        backends,
        price,
        _usable(model),
        model.label,
    )


def _usable(model: Model) -> str:
    if model.retired:
        return "retired"
    return "default" if model.default else "yes" if model.usable else "no"


def price_in_words(price: float | None) -> str:
    """US dollars for one result; nothing where the server does not know."""
    if price is None:
        return "unknown"
    return "free" if price == 0 else f"${price:.4f}".rstrip("0").rstrip(".")


def param_row(name: str, field: dict[str, Any], *, required: bool) -> tuple[str, ...]:
    """A parameter as the cells of PARAM_HEADS."""
    default = "required" if required else json.dumps(field["default"]) if "default" in field else ""
    kind = str(field.get("type", ""))
    return (name, kind, default or "-", _takes(field) or "-", str(field.get("description", "")))


def _takes(field: dict[str, Any]) -> str:
    """In a few words, which values there are."""
    if "enum" in field:
        return "|".join(map(str, field["enum"]))
    low, high = field.get("minimum", ""), field.get("maximum", "")
    told = f"{low}…{high}" if low != "" or high != "" else ""
    if "multipleOf" in field:
        told += f" by {field['multipleOf']}"
    if "maxBytes" in field:
        told = f"up to {field['maxBytes']} bytes"
    return told or ", ".join(map(str, field.get("examples", [])[:2]))
