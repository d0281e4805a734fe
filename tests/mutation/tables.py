"""Mutants of the tables: one for each cell of a module's constants.

mutmut changes what stands in functions; the lifecycle and the session are decided by
tables, which it leaves alone. For every entry of a constant's dict there is a mutant
without it, and for every part of an entry's value one where that part is replaced by
what stands in the same place of another entry. Operands of `|` are dropped in turn.
Pure: text in, text out.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import NamedTuple


class Mutant(NamedTuple):
    """One change: in the constant `name`, `was` became `becomes`; `source` is the whole file."""

    name: str
    was: str
    becomes: str
    source: str


class Span(NamedTuple):
    start: int
    end: int


def mutants(source: str) -> Iterator[Mutant]:
    """Every mutant of the constants at the top level of a module."""
    offsets = line_offsets(source)
    for statement in ast.parse(source).body:
        match statement:
            case ast.Assign(targets=[ast.Name(id=name)], value=value):
                yield from of_constant(source, offsets, name, value)
            case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                yield from of_constant(source, offsets, name, value)


def of_constant(source: str, offsets: list[int], name: str, value: ast.expr) -> Iterator[Mutant]:
    for node in ast.walk(value):
        match node:
            case ast.Dict(keys=keys, values=values):
                yield from without_entries(source, offsets, name, node)
                yield from with_other_parts(source, offsets, name, keys, values)
            case ast.BinOp(op=ast.BitOr(), left=left, right=right):
                for operand in (left, right):
                    kept = text(source, offsets, operand)
                    yield spliced(source, name, span(offsets, node), kept)


def without_entries(
    source: str, offsets: list[int], name: str, table: ast.Dict
) -> Iterator[Mutant]:
    for key, value in zip(table.keys, table.values, strict=True):
        if key is not None:
            where = Span(span(offsets, key).start, span(offsets, value).end)
            comma = 1 if source[where.end : where.end + 1] == "," else 0
            yield spliced(source, name, Span(where.start, where.end + comma), "")


def with_other_parts(
    source: str,
    offsets: list[int],
    name: str,
    keys: list[ast.expr | None],
    values: list[ast.expr],
) -> Iterator[Mutant]:
    """Each part of each value, replaced by the next different one of its column."""
    rows = [[text(source, offsets, part) for part in parts(value)] for value in values]
    for at, value in enumerate(values):
        entry = keys[at]
        key = text(source, offsets, entry) if entry is not None else ""
        cells = parts(value)
        for column, part in enumerate(cells):
            others = [row[column] for row in rows[at + 1 :] + rows[:at] if column < len(row)]
            other = next((other for other in others if other != rows[at][column]), None)
            if other is not None:
                mutant = spliced(source, name, span(offsets, part), other)
                place = f"[{column}]" if len(cells) > 1 else ""
                yield mutant._replace(was=f"{key}{place}: {mutant.was}")


def parts(value: ast.expr) -> list[ast.expr]:
    """The cells of one entry: a call's arguments, a tuple's elements, or the value itself."""
    match value:
        case ast.Call(args=args) if args:
            return args
        case ast.Tuple(elts=elements):
            return elements
        case _:
            return [value]


def spliced(source: str, name: str, where: Span, replacement: str) -> Mutant:
    was = source[where.start : where.end]
    changed = source[: where.start] + replacement + source[where.end :]
    return Mutant(name, " ".join(was.split()), " ".join(replacement.split()), changed)


def line_offsets(source: str) -> list[int]:
    """Where each line begins, counted in characters; the grammar of our tables is ASCII."""
    starts, position = [], 0
    for line in source.splitlines(keepends=True):
        starts.append(position)
        position += len(line)
    return starts


def span(offsets: list[int], node: ast.expr) -> Span:
    end_line = node.end_lineno or node.lineno
    return Span(
        offsets[node.lineno - 1] + node.col_offset,
        offsets[end_line - 1] + (node.end_col_offset or 0),
    )


def text(source: str, offsets: list[int], node: ast.expr) -> str:
    where = span(offsets, node)
    return source[where.start : where.end]
