"""A request of `run` or `quote`, completed with what only the server knows.

Owns the order: options are read before any server is asked, so that a slip costs nothing;
then the kind follows the model, and files that the request starts from are sent.
"""

from __future__ import annotations

import argparse
import difflib
from typing import Any

import msgspec

from ..client import Client
from .inputs import Given, given_by, sent
from .params import body_of
from .world import World


class Asked(msgspec.Struct, frozen=True):
    """The body as far as the options say it, and what it starts from."""

    body: dict[str, Any]
    starts: tuple[Given, ...]


def asked_by(args: argparse.Namespace) -> Asked:
    """What the options say. Raises BadOption."""
    return Asked(body_of(args), tuple(given_by(text) for text in args.input))


async def completed(asked: Asked, client: Client, world: World) -> dict[str, Any]:
    """The whole body. Raises BadOption, and what the client raises."""
    body = dict(asked.body)
    if body["kind"] is None:
        body["kind"] = await _kind_of(body["model"], client)
    if asked.starts:
        body["inputs"] = [await sent(given, client, world) for given in asked.starts]
    return body


async def _kind_of(model: str | None, client: Client) -> str:
    """That of the model, or of the one that is named most like it: the server's refusal then
    tells of those that were meant. An image without one."""
    if model is None:
        return "image"
    kinds = {name: one.kind for one in await client.models() for name in (one.name, *one.aliases)}
    near = difflib.get_close_matches(model, kinds, n=1, cutoff=0)
    return kinds[near[0]] if near else "image"
