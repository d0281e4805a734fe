"""Options of `safelight run` and `quote` (and `--param` of others) as the body of a request.

Owns only their spelling; what a model takes is for the server to say, which answers
with what it found and expected. So numbers that are none travel as they were typed.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import msgspec


class BadOption(Exception):
    """An option that cannot be read; the message names it, found and expected."""


def add_request(parser: argparse.ArgumentParser) -> None:
    """The options that say what to make."""
    parser.add_argument(
        "--kind",
        choices=("image", "video", "text"),
        help="left out it is that of the model, and without a model an image",
    )
    parser.add_argument(
        "--input",
        action="append",
        default=[],
        metavar="WHAT",
        help="what to start from: a file, an http(s) address, or task:ID; may be repeated",
    )
    parser.add_argument("--model", metavar="NAME", help="see `safelight models`")
    parser.add_argument("--backend", metavar="NAME", help="where to run it, if it has backends")
    parser.add_argument("--seed", metavar="N", help="0 to 2**64-1; drawn by the server if left out")
    parser.add_argument("--size", metavar="WxH", help="in pixels, 768x512 say")
    parser.add_argument("--steps", metavar="N", help="how many steps to take")
    parser.add_argument("--max-cost", metavar="D", help="US dollars that it may cost at most")
    parser.add_argument(
        "--param",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="any other; @FILE reads it",
    )


def body_of(args: argparse.Namespace) -> dict[str, Any]:
    """The native body; what was left out is None: `asking.py` sees to the kind, the server to
    the rest. Raises BadOption."""
    params = _size(args.size)
    if args.steps is not None:
        params["steps"] = _value(args.steps)
    params |= named_values(args.param)
    return {
        "kind": args.kind,
        "prompt": args.prompt,
        "model": args.model,
        "backend": args.backend,
        "seed": None if args.seed is None else _value(args.seed),
        "params": params or None,
        "max_cost": None if args.max_cost is None else _value(args.max_cost),
    }


def named_values(given: list[str]) -> dict[str, Any]:
    """What `--param NAME=VALUE` was given; @FILE is what is in that file, and a value that
    begins with @@ begins with @. Raises BadOption."""
    values = {}
    for text in given:
        name, equals, value = text.partition("=")
        if not (name and equals):
            raise BadOption(f"--param: found {text!r}, expected NAME=VALUE")
        at = value.startswith("@") and not value.startswith("@@")
        values[name] = _value(_read(name, value[1:]) if at else value.removeprefix("@"))
    return values


def _read(name: str, path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as trouble:
        raise BadOption(f"--param {name}: found @{path}, which cannot be read: {trouble}") from None


def _size(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    width, x, height = text.lower().partition("x")
    if not (x and width.isdigit() and height.isdigit()):
        raise BadOption(f"--size: found {text!r}, expected WxH in pixels, 768x512 say")
    return {"width": int(width), "height": int(height)}


def _value(text: str) -> Any:
    """JSON where it is JSON, else the text itself."""
    try:
        return msgspec.json.decode(text)
    except msgspec.DecodeError:
        return text
