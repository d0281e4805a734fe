"""Which files an attempt has begun, told by what they were asked for with.

A create carries no id of ours, so what became of one whose answer was lost is told by its
prompt, seed and model, which the provider makes only once. A file that is known to be
another attempt's is not taken for this one's; whose they are is kept while we run.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import Generic, TypeVar

from ..base import Prediction
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


Key = TypeVar("Key")


class Recent(Generic[Key]):
    """A set that forgets what was put in long ago."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._keys: OrderedDict[Key, None] = OrderedDict()

    def __contains__(self, key: Key) -> bool:
        return key in self._keys

    def add(self, key: Key) -> None:
        """Put it in, as the youngest."""
        self._keys[key] = None
        self._keys.move_to_end(key)
        while len(self._keys) > self._most:
            self._keys.popitem(last=False)

    def discard(self, key: Key) -> None:
        """Take it out, if it is there."""
        self._keys.pop(key, None)


class Claims:
    """Whose files are whose."""

    def __init__(self) -> None:
        self._of: OrderedDict[str, tuple[str, int]] = OrderedDict()

    def take(self, prediction: Prediction, ids: Iterable[str]) -> None:
        """They are this attempt's."""
        for id in ids:
            self._of[id] = (prediction.uid, prediction.attempt)
            self._of.move_to_end(id)
        while len(self._of) > KEPT:
            self._of.popitem(last=False)

    def may_be(self, prediction: Prediction, id: str) -> bool:
        """Whether a file may be this attempt's."""
        mine = (prediction.uid, prediction.attempt)
        return self._of.get(id, mine) == mine


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
