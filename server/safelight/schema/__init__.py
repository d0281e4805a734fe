"""Everything that is generated from the types and tables of this code, as file contents.

`files` makes them: schemas, the clients' types, and the generated parts of documents
whose rest is written by hand. Nothing is written to disk here: `safelight schema` does,
and with --check compares. Works in a checkout only, since a wheel carries no documents.
"""

from __future__ import annotations

from pathlib import Path

from .. import __version__
from . import asyncapi, frames, lifecycle, openapi, tables, types
from .markdown import BadMarkers, filled

__all__ = ["BadMarkers", "NoCheckout", "checkout", "differing", "files"]

FRAMES = "docs/frames.json"


class NoCheckout(Exception):
    """There are no documents beside this package."""


def checkout(module: str = __file__) -> Path:
    """The root of the source tree that this package lies in. Raises NoCheckout."""
    return _checked(Path(module).resolve().parents[3])


def files(root: Path | None = None) -> dict[str, str]:
    """The text of every generated file by its path below the root of the checkout.

    Documents are read first, since only parts of them are generated. Raises
    NoCheckout or BadMarkers.
    """
    root = checkout() if root is None else _checked(root)
    made = {
        "docs/schema/events.schema.json": types.document(
            "An event of a Safelight task", types.EVENTS, union=True
        ),
        "docs/schema/rest.schema.json": types.document(
            "Bodies and answers of Safelight's REST door", types.REST, union=False
        ),
        "docs/schema/asyncapi.json": asyncapi.document(__version__),
        "docs/schema/openapi.json": openapi.document(__version__),
        "clients/browser/types.d.ts": types.declarations(),
        "clients/swift/Sources/Safelight/generated/Wire.swift": types.swift_file(),
    }
    for path, parts in _parts(root).items():
        made[path] = filled((root / path).read_text(encoding="utf-8"), parts, path)
    return made


def differing(root: Path | None = None) -> list[str]:
    """The generated files that are not as they should be, or not there."""
    root = checkout() if root is None else root
    return [path for path, text in files(root).items() if _read(root / path) != text]


def _checked(root: Path) -> Path:
    if not (root / FRAMES).is_file():
        raise NoCheckout(f"{root.resolve()} is no checkout of Safelight: it has no {FRAMES}")
    return root


def _parts(root: Path) -> dict[str, dict[str, str]]:
    """The generated parts of each document that is otherwise written by hand."""
    return {
        "docs/wire.md": {
            "codes": tables.codes(),
            "events": tables.events(),
            "objects": tables.objects(),
            "decisions": tables.decisions(),
            **frames.chapters((root / FRAMES).read_bytes()),
        },
        "docs/lifecycle.md": lifecycle.parts(),
        "docs/settings.md": {
            "settings": tables.settings(),
            "backends": tables.named("backends"),
            "providers": tables.named("providers"),
        },
        "docs/operations.md": {"events": tables.log_events(), "statistics": tables.statistics()},
    }


def _read(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.is_file() else None
