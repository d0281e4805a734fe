"""What a request starts from: `--input` as it is typed, and as the server takes it.

Owns the forms of the option. A file of this machine, or one that lies at an address, is
sent to the server as an upload; what the server has already is named. The contract of
`inputs` and of uploads stands in docs/artifacts.md. Knows no command.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import anyio
import httpx2
import msgspec

from ..client import Client, RequestRefused, Upload
from .params import BadOption
from .world import World

NAMED = ("task", "artifact", "upload")
"""What the server may have already, by its id."""

TAKEN = "a file of this machine, an http or https address, task:ID, artifact:ID or upload:ID"

MAX_FETCHED = 256 * 1024 * 1024
"""Bytes of a file at an address; how large an upload may be is for the server to say."""

FETCH_SECONDS = 30.0


class Named(msgspec.Struct, frozen=True):
    """Something that the server has."""

    how: str
    id: str


class Local(msgspec.Struct, frozen=True):
    """A file of this machine."""

    path: Path


class Distant(msgspec.Struct, frozen=True):
    """A file at an address."""

    url: str


Given = Named | Local | Distant


def given_by(text: str) -> Given:
    """What one --input means. Raises BadOption, also for a file that is not there."""
    word, colon, rest = text.partition(":")
    if colon and word in NAMED and rest:
        return Named(word, rest)
    if text.startswith(("http://", "https://")):
        return Distant(text)
    if "://" in text:
        raise _wrong(text, "its scheme is not taken")
    path = Path(text)
    if path.exists() and not path.is_file() and not path.is_dir():
        raise _wrong(text, "it is a pipe or a device")  # which has no size, and may never end
    try:
        with path.open("rb") as file:
            is_empty = not file.read(1)
    except OSError as trouble:
        raise _wrong(text, (trouble.strerror or str(trouble)).lower()) from None
    if is_empty:
        raise _wrong(text, "it is empty")
    return Local(path)


async def sent(given: Given, client: Client, world: World) -> dict[str, str]:
    """It as the server takes it, behind its upload where it has to be sent. Raises BadOption
    and RequestRefused, naming the file."""
    match given:
        case Named(how, id):
            return {how: id}
        case Local(path):
            upload = await _uploaded(client, path, str(path))
        case Distant(url):
            with tempfile.TemporaryDirectory() as folder:
                path = Path(folder) / "fetched"
                await _fetch(url, path)
                upload = await _uploaded(client, path, url)
    world.note(f"upload {upload.id}: {_described(given, upload)}")
    return {"upload": upload.id}


async def _uploaded(client: Client, path: Path, name: str) -> Upload:
    try:
        return await client.upload(path)
    except RequestRefused as refused:
        message = f"--input {name}: {refused.message}"
        raise RequestRefused(
            refused.code, message, status=refused.status, retry=refused.retry
        ) from None
    except OSError as trouble:
        raise _wrong(name, (trouble.strerror or str(trouble)).lower()) from None


async def _fetch(url: str, path: Path) -> None:
    """The file at an address, which is asked as any other program of this machine would."""
    try:
        with anyio.fail_after(FETCH_SECONDS):
            async with (
                httpx2.AsyncClient(follow_redirects=True) as http,
                http.stream("GET", url) as answer,
                await anyio.open_file(path, "wb") as file,
            ):
                if answer.status_code != 200:
                    raise _wrong(url, f"it answers {answer.status_code}")
                async for piece in answer.aiter_bytes():
                    await file.write(piece)
                    if await file.tell() > MAX_FETCHED:
                        raise _wrong(url, f"it has more than {MAX_FETCHED} bytes")
    except (httpx2.HTTPError, httpx2.InvalidURL) as trouble:
        raise _wrong(url, str(trouble) or type(trouble).__name__) from None
    except TimeoutError:
        raise _wrong(url, f"it did not come within {FETCH_SECONDS:g} s") from None


def _described(given: Given, upload: Upload) -> str:
    name = given.path if isinstance(given, Local) else getattr(given, "url", "")
    sides = "" if upload.width is None else f", {upload.width}x{upload.height}"
    return f"{name} ({upload.media_type}{sides}, {upload.bytes} bytes)"


def _wrong(text: str, why: str) -> BadOption:
    return BadOption(f"--input: found {text!r}, which cannot be taken: {why}; expected {TAKEN}")
