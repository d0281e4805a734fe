"""What SuperDuperAI says: files, the tasks that make them, offers, and what its channels tell.

What we do not use is not read, what is not told has a default, and words that we do not
know stay words: nothing here fails because something was added there.
"""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


class Garbled(Exception):
    """An answer that is none of SuperDuperAI's."""


class Task(msgspec.Struct, frozen=True):
    """What makes a file: `in_progress`, `completed` or `error`, without a word why."""

    status: str | None = None
    file_id: str | None = None


class Generation(msgspec.Struct, frozen=True):
    """What a file was asked for with."""

    prompt: str | None = None
    seed: int | None = None
    generation_config_name: str | None = None


class File(msgspec.Struct, frozen=True):
    """A file; it is done when it has an address."""

    id: str
    url: str | None = None
    type: str | None = None
    duration: float | None = None
    image_generation: Generation | None = None
    video_generation: Generation | None = None
    tasks: tuple[Task, ...] | None = None

    @property
    def generation(self) -> Generation | None:
        """What it was asked for with, whatever it is."""
        return self.image_generation or self.video_generation

    @property
    def failed(self) -> bool:
        """Whether the last word is that it will not be made."""
        said = [task.status for task in self.tasks or ()]
        return self.url is None and "error" in said and "in_progress" not in said


def as_number(value: Any) -> float | None:
    """A number of JSON's, as it is, which `true` is not."""
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


class Offer(msgspec.Struct, frozen=True):
    """A generation config: a model, what it takes, and what it costs."""

    name: str
    label: str | None = None
    type: str = ""
    params: dict[str, Any] = {}

    @property
    def makes(self) -> str:
        """The kind of its files."""
        return self.type.rpartition("_")[2]

    @property
    def starts_from(self) -> str:
        """What it starts from: text, image or video."""
        return self.type.partition("_")[0]

    def number(self, name: str) -> float | None:
        """A parameter of its own that is a number."""
        return as_number(self.params.get(name))


class Style(msgspec.Struct, frozen=True):
    """A style, by the name that a create gives."""

    name: str


class Page(msgspec.Struct, frozen=True):
    """A part of a list; `next` is null at its end."""

    items: tuple[msgspec.Raw, ...] = ()
    next: dict[str, Any] | None = None


class Message(msgspec.Struct, frozen=True):
    """What a channel tells."""

    type: str
    object: Any = None


def read(body: bytes, type_: type[T]) -> T:
    """Raises Garbled."""
    try:
        return msgspec.json.decode(body, type=type_, strict=False)
    except (msgspec.DecodeError, RecursionError):
        raise Garbled from None


def read_files(body: bytes) -> list[File]:
    """A list of files, or the one file that some creates answer with. Raises Garbled."""
    try:
        return read(body, list[File])
    except Garbled:
        return [read(body, File)]


def read_message(data: str | bytes) -> Message | None:
    """What a channel told; None if it is nothing of the kind."""
    try:
        return msgspec.json.decode(data, type=Message)
    except (msgspec.DecodeError, RecursionError):
        return None


def as_type(value: Any, type_: type[T]) -> T | None:
    """The object of a message as one of ours; None if it is none."""
    try:
        return msgspec.convert(value, type_, strict=False)
    except msgspec.ValidationError:
        return None
