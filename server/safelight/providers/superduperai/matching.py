"""Which files an attempt has begun, told by what they were asked for with.

A create carries no id of ours, so what became of one whose answer was lost is told by its
prompt, seed and model, which the provider makes only once. A file that is known to be
another attempt's is not taken for this one's; whose they are is kept while we run.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from ..base import Prediction
from ..recent import Recent
from .shapes import File

KEPT = 10_000
"""Files whose attempt is remembered."""

BETWEEN = ","
"""Stands between the ids of files in a handle."""


def handle_of(ids: Iterable[str]) -> str:
    """The handle of an attempt that makes these files."""
    return BETWEEN.join(ids)


def ids_of(handle: str) -> list[str]:
    """The files of a handle, in their order."""
    return handle.split(BETWEEN)


class Claims:
    """Whose files are whose."""

    def __init__(self) -> None:
        self._of: Recent[str, tuple[str, int]] = Recent(KEPT)

    def take(self, prediction: Prediction, ids: Iterable[str]) -> None:
        """They are this attempt's."""
        for id in ids:
            self._of.put(id, (prediction.uid, prediction.attempt))

    def may_be(self, prediction: Prediction, id: str) -> bool:
        """Whether a file may be this attempt's."""
        return self._of.get(id) in (None, (prediction.uid, prediction.attempt))


def matches(files: Sequence[File], prediction: Prediction, model: str, claims: Claims) -> list[str]:
    """The ids of those that fit, each once, oldest first; `files` is newest first."""
    fitting = []
    for file in files:
        made = file.generation
        if made is None or made.generation_config_name != model:
            continue
        if (made.prompt, made.seed) != (prediction.prompt, prediction.seed):
            continue
        if claims.may_be(prediction, file.id):
            fitting.append(file.id)
    return list(dict.fromkeys(reversed(fitting)))
