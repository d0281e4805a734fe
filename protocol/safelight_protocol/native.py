"""The native body of a create decoded in one go: bytes to command.

A body that is as it should be is read here. Of any other nothing is said: whoever gets
None reads it again by `commands.read_create`, which names all that is wrong with it. What
a type cannot say of a field is said by the same reader there and here, so both come to the
same command (tests/protocol/test_native.py holds them to that).
"""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from .codes import Refused
from .commands import MAX_N, MAX_NAME, NATIVE, Create, read_id
from .events import Kind
from .fields import MAX_PROMPT, Wrong, read_seed
from .identity import Reuse
from .task import Asked

_Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]


class _Body(msgspec.Struct, forbid_unknown_fields=True):
    kind: Kind
    prompt: Annotated[str, Meta(min_length=1, max_length=MAX_PROMPT)]
    id: str | None = None
    model: _Name | None = None
    params: dict[str, Any] = {}
    backend: _Name | None = None
    seed: int | str | None = None
    inputs: list[Any] = []
    n: Annotated[int, Meta(ge=1, le=MAX_N)] | None = None
    reuse: Reuse | None = None
    request_id: str | None = None
    max_cost: float | None = None
    webhook: Any = None


_decode = msgspec.json.Decoder(_Body).decode
_read_key = NATIVE["request_id"].read
_read_inputs = NATIVE["inputs"].read
_read_cost = NATIVE["max_cost"].read
_read_hook = NATIVE["webhook"].read


def read(body: bytes) -> Create | None:
    """The command in a native body that has nothing wrong with it, else None."""
    try:
        return _command(_decode(body))
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError, Wrong, Refused):
        return None


def _command(body: _Body) -> Create | None:
    if body.prompt.isspace() or (body.id is not None and body.reuse is not None):
        return None
    request_id = None if body.request_id is None else _read_key(body.request_id)
    return Create(
        asked=Asked(
            kind=body.kind,
            prompt=body.prompt,
            model=body.model,
            backend=body.backend,
            params=body.params,
            seed=None if body.seed is None else read_seed(body.seed),
            inputs=_read_inputs(body.inputs) if body.inputs else (),
            n=body.n,
        ),
        id=None if body.id is None else read_id(body.id),
        key=request_id,
        request_id=request_id,
        reuse=body.reuse,
        max_micros=None if body.max_cost is None else _read_cost(body.max_cost),
        webhook=None if body.webhook is None else _read_hook(body.webhook),
    )
