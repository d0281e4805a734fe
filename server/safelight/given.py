"""What a task starts from: its inputs, as files.

An input names an artifact, a task (whose first image it is), or an upload. What belongs to
another owner, was deleted or has expired is as good as absent. Reads the store, writes
nothing.
"""

from __future__ import annotations

from pathlib import Path

from safelight_protocol.codes import Refused
from safelight_protocol.task import Input, Task

from .artifacts import ArtifactStore
from .providers.base import InputFile
from .store import ArtifactRow, Store, UploadRow


class Given:
    """Looks inputs up."""

    def __init__(self, store: Store, artifacts: ArtifactStore) -> None:
        self._read = store.read
        self._artifacts = artifacts

    async def sorts(self, owner: str, inputs: tuple[Input, ...]) -> tuple[InputFile, ...]:
        """What its inputs are, before anybody looks for their bytes. Raises Refused `invalid`
        for the first that is not there."""
        found = []
        for place, given in enumerate(inputs):
            row = await self._row(owner, given)
            if row is None:
                raise _no_input(place, given)
            found.append(InputFile(Path(), row.media_type))
        return tuple(found)

    async def files(self, task: Task) -> tuple[InputFile | None, ...]:
        """The files of its inputs; None for each that went since the task was made."""
        return tuple([await self._file(task.owner, given) for given in task.asked.inputs])

    async def _file(self, owner: str, given: Input) -> InputFile | None:
        row = await self._row(owner, given)
        if row is None:
            return None
        path = await self._artifacts.local(row.sha256, row.media_type)
        return None if path is None else InputFile(path, row.media_type)

    async def _row(self, owner: str, given: Input) -> ArtifactRow | UploadRow | None:
        how, name = given.named
        if how == "upload":
            upload = await self._read.files.upload(name)
            return upload if upload is not None and upload.owner == owner else None
        if how == "artifact":
            found = await self._read.artifact(name)
            mine = found is not None and found[1] == owner and found[0].expired_at is None
            return found[0] if found is not None and mine else None
        task = await self._read.task(owner, name)
        rows = [] if task is None else await self._read.artifacts_of(task.uid)
        return next((row for row in rows if row.kind == "image" and not row.expired_at), None)


def _no_input(place: int, given: Input) -> Refused:
    what = " ".join(given.named)
    expected = "an artifact or upload of yours, or a task of yours that made an image"
    wrong: dict[str, object] = {"field": f"inputs.{place}", "found": what, "expected": expected}
    return Refused("invalid", f"inputs.{place}: {what} is not here.", [wrong])
