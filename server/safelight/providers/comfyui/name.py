"""Who we are to a server: the client id of a backend's socket, kept over our restarts.

A server tells the steps of a prompt to the client id that sent it, so a process that goes
on where another stopped has to come with the same one. No two at once may: of two sockets
with one id the older hears nothing, and takes the newer's hearing with it when it closes.
So the secret behind the ids is bound to the place and the very file that it stands in: a
copy is another file, and there another secret is drawn. Called while the directory is locked.
"""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from pathlib import Path

import msgspec

FILE = "comfyui-client"


class _Kept(msgspec.Struct):
    secret: uuid.UUID
    inode: int
    place: str


def client_id(directory: Path, backend: str) -> str:
    """The client id of this data directory at a backend. One that cannot be kept is drawn,
    and is another one after the next start."""
    return uuid.uuid5(_secret(directory / FILE), backend).hex


def drawn() -> str:
    """A client id that nobody else has."""
    return uuid.uuid4().hex


def kept_in(directory: Path, backend: str) -> Callable[[], str]:
    """What gives the client id once the directory is ours."""
    return lambda: client_id(directory, backend)


def _secret(path: Path) -> uuid.UUID:
    try:
        kept = msgspec.json.decode(path.read_bytes(), type=_Kept)
        if (kept.inode, kept.place) == (path.stat().st_ino, str(path.resolve())):
            return kept.secret
    except (OSError, msgspec.DecodeError):
        pass  # not there yet, or not to be read: another is as good
    secret = uuid.uuid4()
    try:
        _keep(path, secret)
    except OSError:
        pass  # it serves as long as this process
    return secret


def _keep(path: Path, secret: uuid.UUID) -> None:
    """Whole or not at all, and for nobody else to read: the id is enough to be told what
    is made here."""
    beside = path.with_name(f"{path.name}.new")
    beside.unlink(missing_ok=True)
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        inode = os.fstat(file.fileno()).st_ino
        file.write(msgspec.json.encode(_Kept(secret, inode, str(path.resolve()))))
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
