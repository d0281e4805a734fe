"""How far each node of one prompt is, and who is told of it.

`progress_state` lists every node that has started, each time; `progress` is one node's
bar. The newer release holds messages without a picture back when they come too fast.
"""

from __future__ import annotations

import io
import time
from typing import Any

from PIL import Image

from .hub import Hub

LEAST_SECONDS = 0.1
LEAST_PART = 0.005
MOST_PREVIEW = 512
"""The longest side of a preview; pictures that are results are sent in full."""


class Progress:
    """The bars of one prompt."""

    def __init__(self, hub: Hub, prompt_id: str, throttled: bool) -> None:
        self._hub = hub
        self._prompt_id = prompt_id
        self._throttled = throttled
        self._nodes: dict[str, dict[str, Any]] = {}
        self._told = (0.0, 0.0)

    def begin(self, node_id: str) -> None:
        """A node starts."""
        self._set(node_id, 0.0, 1.0, "running")
        self._told = (-LEAST_SECONDS, -1.0)

    def step(
        self, node_id: str, value: int, most: int, preview: tuple[str, Image.Image] | None
    ) -> None:
        """A node has come to `value` of `most`."""
        if preview is None and not self._is_due(value, most):
            return
        self._set(node_id, value, most, "running")
        data = _encoded(preview)
        legacy = not self._hub.understands(self._hub.client_id, "supports_preview_metadata")
        if preview and data and not legacy:
            self._hub.send_preview(preview[0], data, self._about(node_id))
        told = {"value": value, "max": most, "prompt_id": self._prompt_id, "node": node_id}
        self._hub.send("progress", told, self._hub.client_id)
        if preview and data and legacy:
            self._hub.send_preview(preview[0], data, None)

    def finish(self, node_id: str) -> None:
        """A node is done; one that was cached begins and ends here."""
        most = self._nodes[node_id]["max"] if node_id in self._nodes else 1
        self._set(node_id, most, most, "finished")

    def text(self, node_id: str, text: str) -> None:
        """Show a text beside a node."""
        name = node_id.encode()
        data = len(name).to_bytes(4, "big") + name + text.encode()
        self._hub.send_bytes(3, data, self._hub.client_id)

    def _is_due(self, value: int, most: int) -> bool:
        now, part = time.monotonic(), value / most
        then, before = self._told
        soon = now - then < LEAST_SECONDS or part - before < LEAST_PART
        if self._throttled and soon and before >= 0 and value < most:
            return False
        self._told = (now, part)
        return True

    def _set(self, node_id: str, value: float, most: float, state: str) -> None:
        about = self._about(node_id)
        self._nodes[node_id] = {"value": value, "max": most, "state": state} | about
        data = {"prompt_id": self._prompt_id, "nodes": dict(self._nodes)}
        self._hub.send("progress_state", data, self._hub.client_id)

    def _about(self, node_id: str) -> dict[str, Any]:
        return {
            "node_id": node_id,
            "prompt_id": self._prompt_id,
            "display_node_id": node_id,
            "parent_node_id": None,
            "real_node_id": node_id,
        }


def _encoded(preview: tuple[str, Image.Image] | None) -> bytes:
    if preview is None:
        return b""
    form, image = preview
    out = io.BytesIO()
    if form == "JPEG":
        image = image.copy()
        image.thumbnail((MOST_PREVIEW, MOST_PREVIEW))
        image.convert("RGB").save(out, "JPEG", quality=95)
    else:
        image.save(out, form, compress_level=1)
    return out.getvalue()
