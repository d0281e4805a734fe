"""What goes along the links of a graph, and what a node hands back.

A latent here is a description of what shall be painted, or pictures already painted: the
brush knows no noise. Nothing in this module does any work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec
from PIL import Image

Images = list[Image.Image]
"""An IMAGE: a batch of pictures of one size."""

Link = tuple[str, int]
Graph = dict[str, Any]
Spec = Mapping[str, Mapping[str, tuple[Any, ...]]]
"""Inputs of a class as the real one writes them: required, optional or hidden, then the name,
then type and options."""


class Interrupted(Exception):
    """Somebody asked for the end of the prompt that runs."""


class Stopped(BaseException):
    """The server ends: nothing more is told to anybody."""


class Model(msgspec.Struct, frozen=True):
    """A checkpoint and the LoRAs put on it: part of what decides the picture."""

    name: str
    loras: tuple[str, ...] = ()


class Conditioning(msgspec.Struct, frozen=True):
    """A text that was encoded."""

    text: str


class Latent(msgspec.Struct, frozen=True):
    """Size and number of pictures, and the pictures themselves once there are some."""

    width: int
    height: int
    count: int = 1
    images: tuple[Image.Image, ...] = ()


class Made(msgspec.Struct, frozen=True):
    """A node's result: one value per output, and what is shown of it (`ui`)."""

    values: tuple[Any, ...] = ()
    ui: dict[str, Any] | None = None


class Context(Protocol):
    """What a node may ask of the run it is part of."""

    graph: Graph
    extra_pnginfo: dict[str, Any]
    node_id: str

    def progress(self, value: int, most: int, preview: tuple[str, Image.Image] | None) -> None:
        """Tell how far this node is; `preview` is a format and a picture. Raises Interrupted."""

    def send_text(self, text: str) -> None:
        """Show a text beside this node."""

    def rest(self, seconds: float) -> None:
        """Take that long; ends early only when the server ends."""

    @property
    def place(self) -> Any:
        """The folders, see files.py."""

    @property
    def step_seconds(self) -> float:
        """The least time of one sampling step."""

    @property
    def previews(self) -> bool:
        """Whether a sampler shall show what it has so far."""


class NodeClass(msgspec.Struct, frozen=True, kw_only=True):
    """A class of nodes: its declaration and what it does.

    `inputs` is asked each time, since lists of models and files change. `check` is the
    node's own validation of a value given as a literal: True, or a text that says what is
    wrong. `changed` gives a value that must be equal for a cached result to be used.
    """

    name: str
    run: Callable[..., Made]
    inputs: Callable[[], Spec]
    outputs: tuple[str, ...] = ()
    display: str = ""
    category: str = "kerniegen"
    module: str = "nodes"
    is_output: bool = False
    check: Callable[..., bool | str] | None = None
    checked: tuple[str, ...] = ()
    changed: Callable[..., object] | None = None
