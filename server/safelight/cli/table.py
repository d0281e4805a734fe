"""A table in plain text: columns as wide as they need, the last as wide as there is room."""

from __future__ import annotations

from collections.abc import Sequence

from .world import World, columns, one_line

GAP = "  "
MIN_LAST = 12


def print_table(world: World, heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print rows under their heads; the last column is cut to the terminal's width."""
    cells = [list(heads), *([one_line(cell, 10_000) for cell in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads) - 1)]
    room = columns(world.out) - sum(widths) - len(GAP) * len(widths)
    for row in cells:
        fixed = [cell.ljust(width) for cell, width in zip(row, widths, strict=False)]
        last = one_line(row[-1], max(MIN_LAST, room))
        world.say(GAP.join([*fixed, last]).rstrip())
