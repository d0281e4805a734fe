"""The decision table of a create, as rows that can be both printed and tried.

Owns the words of docs/wire.md's table. What each row describes is decided by
`safelight_protocol.identity.decide`; tests/protocol/test_schema.py plays every row
through it.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class Case(msgspec.Struct, frozen=True):
    """What is found for a create. `by_id` and `by_key` are tasks, `same` as the request
    or `other`; with `one` set, both are one task."""

    wants_id: bool = False
    by_id: Literal["same", "other"] | None = None
    by_key: Literal["same", "other"] | None = None
    one: bool = False
    alike: bool = False
    gone: Literal["id", "key"] | None = None


class Decision(msgspec.Struct, frozen=True):
    """One row: the case in words, its outcome (`new`, `attach` or a code), its answers."""

    id: str
    key: str
    alike: str
    outcome: str
    result: str
    rest: str
    socket: str
    cases: tuple[Case, ...]


def _cases(*cases: Case) -> tuple[Case, ...]:
    return cases


_NO_KEY = "absent, fresh, or this task's"

DECISIONS = (
    Decision(
        "exists, same request",
        _NO_KEY,
        "not asked",
        "attach",
        "attach, in whatever state it is",
        "200",
        "ok, `attached: true`",
        _cases(
            Case(wants_id=True, by_id="same"),
            Case(wants_id=True, by_id="same", by_key="same", one=True),
        ),
    ),
    Decision(
        "exists, another request",
        _NO_KEY,
        "not asked",
        "id_conflict",
        "refused; says which fields differ",
        "409 `id_conflict`",
        "error `id_conflict`",
        _cases(
            Case(wants_id=True, by_id="other"),
            Case(wants_id=True, by_id="other", by_key="other", one=True),
        ),
    ),
    Decision(
        "exists",
        "another task's",
        "not asked",
        "key_reused",
        "refused; names both tasks",
        "422 `key_reused`",
        "error `key_reused`",
        _cases(
            Case(wants_id=True, by_id="same", by_key="same"),
            Case(wants_id=True, by_id="other", by_key="same"),
        ),
    ),
    Decision(
        "free or absent",
        "seen, same request",
        "not asked",
        "attach",
        "attach to the key's task, also after its end",
        "200, with its id",
        "ok; on `task:X` of another id error `key_reused` with its `task_id`",
        _cases(Case(by_key="same"), Case(wants_id=True, by_key="same")),
    ),
    Decision(
        "free or absent",
        "seen, another request",
        "not asked",
        "key_reused",
        "refused; names the key's task",
        "422 `key_reused`",
        "error `key_reused`",
        _cases(Case(by_key="other"), Case(wants_id=True, by_key="other")),
    ),
    Decision(
        "free",
        "absent or fresh",
        "not asked",
        "new",
        "**new task**",
        "202",
        "ok, `created: true`",
        _cases(Case(wants_id=True), Case(wants_id=True, alike=True)),
    ),
    Decision(
        "absent",
        "fresh",
        "not asked, unless `reuse` is sent",
        "new",
        "**new task**",
        "202",
        "ok, `created: true`",
        _cases(Case()),
    ),
    Decision(
        "absent",
        "absent, or fresh with `reuse`",
        "as a task that runs and is not canceling; `reuse` is `inflight` (which it is"
        " when neither id nor key is sent) or `completed`",
        "attach",
        "attach to the oldest such task",
        "200",
        "ok, `attached: true`",
        _cases(Case(alike=True)),
    ),
    Decision(
        "absent",
        "absent, or fresh with `reuse`",
        "as a completed task; `reuse` is `completed`",
        "attach",
        "attach to the newest such task",
        "200",
        "ok, `attached: true`",
        _cases(Case(alike=True)),
    ),
    Decision(
        "absent",
        "absent",
        "as none, or `reuse` is `never`",
        "new",
        "**new task**",
        "202",
        "ok, `created: true`",
        _cases(Case()),
    ),
    Decision(
        "deleted or expired",
        "or its key",
        "not asked",
        "gone",
        "refused; the id and its keys stay taken",
        "410 `gone`",
        "error `gone`",
        _cases(Case(wants_id=True, gone="id"), Case(gone="key")),
    ),
)
