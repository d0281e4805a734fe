"""When are two requests the same, and what follows from it.

The rules of "one request, one task": canonical form, fingerprint, comparison and
the decision table over id, key and fingerprint. Pure: the store looks things up
inside its transaction and asks here what they mean. The table stands in
docs/wire.md; its tests are generated from `tests/protocol/test_identity.py`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from .codes import Refused
from .events import wire_seed
from .task import Asked, Input, Resolved, Task

Reuse = Literal["never", "inflight", "completed"]


class Difference(msgspec.Struct, frozen=True):
    """One field in which two requests differ: what this one asks, what the task has."""

    field: str
    asked: Any
    has: Any


class Comparison(msgspec.Struct, frozen=True):
    """`conflicts` make another request of it; `open` are fields the creator left open."""

    conflicts: tuple[Difference, ...] = ()
    open: tuple[Difference, ...] = ()

    @property
    def same(self) -> bool:
        """Whether both are the same request."""
        return not self.conflicts


_sorted = msgspec.json.Encoder(order="sorted").encode


class _Like(msgspec.Struct, frozen=True):
    """What makes two requests alike. Stored ones are of these names: none may change."""

    backend: str | None
    inputs: tuple[Input, ...]
    kind: str
    model: str
    n: int
    params: dict[str, Any]
    prompt: str
    seed: str | None


def canonical(asked: Asked) -> bytes:
    """The request as sent, defaults not filled in, with sorted keys."""
    plain = msgspec.to_builtins(asked)
    return _sorted({k: v for k, v in plain.items() if k != "app"})


def fingerprint(asked: Asked, resolved: Resolved) -> str:
    """SHA-256 (hex) over what makes two requests alike, whatever their id and key.

    The seed counts only if the caller chose one; the model is the one that was
    requested, after aliases and before anything stood in for it.
    """
    like = _Like(
        backend=resolved.backend,
        inputs=asked.inputs,
        kind=asked.kind,
        model=resolved.requested,
        n=resolved.n,
        params=resolved.params,
        prompt=asked.prompt,
        seed=None if asked.seed is None else str(asked.seed),
    )
    return hashlib.sha256(_sorted(like)).hexdigest()


def compare(
    asked: Asked, defaults: Resolved | None, task: Task, *, lenient: bool = False
) -> Comparison:
    """Hold a new request against an existing task.

    `defaults` is what the new request would be resolved to, or None where the
    registry no longer can say; then its open fields agree with anything. Fields that
    were sent and dropped on both sides, since no model of theirs knows them, do not
    count: as resolved both are equal. With `lenient` what the new request leaves open
    agrees with whatever the task has; else its default must be what the task has.
    """
    if canonical(asked) == canonical(task.asked):
        return Comparison()
    theirs, ours = _given(task.asked), _given(asked)
    if lenient and not asked.inputs:
        del ours["inputs"]
    has = _values(task.asked, task.resolved) | {"seed": wire_seed(task.seed_used)}
    now = ours if defaults is None else _values(asked, defaults)
    conflicts: list[Difference] = []
    left_open: list[Difference] = []
    for field in sorted(now.keys() | (has.keys() if defaults is not None else set())):
        if now.get(field) == has.get(field) or (lenient and field not in ours):
            continue
        difference = Difference(field, now.get(field), has.get(field))
        if field in theirs:
            conflicts.append(difference)
        elif field in ours:
            left_open.append(difference)
    return Comparison(tuple(conflicts), tuple(left_open))


def _given(asked: Asked) -> dict[str, Any]:
    """The fields that a caller set, `params` one by one; null leaves a field open."""
    given: dict[str, Any] = {"kind": asked.kind, "prompt": asked.prompt, "inputs": asked.inputs}
    for field in ("model", "backend", "n"):
        value = getattr(asked, field)
        if value is not None:
            given[field] = value
    if asked.seed is not None:
        given["seed"] = wire_seed(asked.seed)
    params = {name: value for name, value in asked.params.items() if value is not None}
    return given | {f"params.{name}": value for name, value in params.items()}


def _values(asked: Asked, resolved: Resolved) -> dict[str, Any]:
    """The same fields with every default filled in; a drawn seed stays out."""
    values: dict[str, Any] = {
        "kind": asked.kind,
        "prompt": asked.prompt,
        "inputs": asked.inputs,
        "model": resolved.requested,
        "backend": resolved.backend,
        "n": resolved.n,
    }
    if asked.seed is not None:
        values["seed"] = wire_seed(asked.seed)
    return values | {f"params.{name}": value for name, value in resolved.params.items()}


class Found(msgspec.Struct, frozen=True):
    """What the store holds for a create: by id, by key, alike; and what is gone.

    `alike` is the task that `reuse` would attach to, already chosen: the oldest
    that still runs, else (for `completed`) the newest that completed.
    """

    by_id: Task | None = None
    by_key: Task | None = None
    alike: Task | None = None
    id_gone: bool = False
    key_gone: bool = False


def decide(
    found: Found,
    comparisons: Mapping[str, Comparison],
    *,
    wants_id: str | None,
    topic_id: str | None = None,
) -> Task | None:
    """The decision table: the task to attach to, or None for a new one.

    `comparisons` holds the new request against each found task, by uid.
    `topic_id` is the id of the channel that asks: it never answers with another
    task's id. Raises Refused with `gone`, `id_conflict` or `key_reused`.
    """
    if found.id_gone or found.key_gone:
        what = "id" if found.id_gone else "key"
        raise Refused("gone", f"The task of this {what} was deleted or has expired.")
    if found.by_id is not None:
        _one_task_or_refuse(found.by_id, found.by_key)
        return _same_or_refuse(found.by_id, comparisons, "id_conflict", "id")
    if found.by_key is not None:
        same = _same_or_refuse(found.by_key, comparisons, "key_reused", "key")
        if topic_id is not None and same.id != topic_id:
            raise Refused("key_reused", f"The key belongs to task {same.id}.", task_id=same.id)
        return same
    return found.alike if wants_id is None else None


def _one_task_or_refuse(by_id: Task, by_key: Task | None) -> None:
    if by_key is not None and by_key.uid != by_id.uid:
        raise Refused(
            "key_reused",
            f"The key belongs to task {by_key.id}, the id to task {by_id.id}.",
            task_id=by_key.id,
        )


def _same_or_refuse(
    task: Task, comparisons: Mapping[str, Comparison], code: str, what: str
) -> Task:
    comparison = comparisons[task.uid]
    if comparison.same:
        return task
    named = ", ".join(d.field for d in comparison.conflicts)
    raise Refused(
        code,
        f"The {what} belongs to task {task.id}, made by another request; it differs in {named}.",
        [
            {"field": d.field, "found": shown(d.asked), "expected": shown(d.has)}
            for d in comparison.conflicts
        ],
        task_id=task.id,
    )


def shown(value: Any, width: int = 80) -> str:
    """A value as an error shows it: JSON, at most `width` characters."""
    text = msgspec.json.encode(value).decode(errors="replace")
    return text if len(text) <= width else text[: width - 1] + "…"
