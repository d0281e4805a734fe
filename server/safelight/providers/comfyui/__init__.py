"""ComfyUI: any number of named servers, each with one socket and an HTTP interface.

`Comfy` keeps the contract of ../base.py and goes by the backend that a prediction names;
`ComfyBackend` is one server, as the directory of backends sees it. What is known about
such servers, and what they were seen to do, is told in docs/comfyui.md. Knows neither
tasks nor the store, and shares nothing with the emulator that it is tested against.
"""

from __future__ import annotations

from .backend import ComfyBackend
from .name import kept_in
from .pace import Timings
from .provider import Comfy
from .workflows import BadWorkflow, Workflows

__all__ = ["BadWorkflow", "Comfy", "ComfyBackend", "Timings", "Workflows", "kept_in"]
