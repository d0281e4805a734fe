"""Markdown: tables, and the generated parts of documents that are written by hand.

A generated part stands between `<!-- generated: name -->` and `<!-- /generated -->`;
everything around it belongs to whoever writes the document. Knows nothing of what
the parts say.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

_PART = re.compile(r"<!-- generated: ([a-z-]+) -->\n(.*?)<!-- /generated -->", re.DOTALL)


class BadMarkers(Exception):
    """A document lacks a part, or has one that nothing fills."""


def filled(text: str, parts: Mapping[str, str], where: str) -> str:
    """The document with its parts written anew. Raises BadMarkers."""
    found = [name for name, _ in _PART.findall(text)]
    if sorted(found) != sorted(parts):
        expected = ", ".join(sorted(parts))
        raise BadMarkers(f"{where}: generated parts: found {found}, expected {expected}, once each")
    return _PART.sub(lambda match: _part(match[1], parts[match[1]]), text)


def _part(name: str, body: str) -> str:
    return f"<!-- generated: {name} -->\n\n{body.strip()}\n\n<!-- /generated -->"


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; None is an empty cell."""
    lines = [head, ["---"] * len(head), *rows]
    return "".join(f"| {' | '.join(map(_cell, line))} |\n" for line in lines)


def _cell(value: object) -> str:
    text = "" if value is None else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def code(text: object) -> str:
    """A word as it stands in code; nothing for None."""
    return "" if text is None else f"`{text}`"
