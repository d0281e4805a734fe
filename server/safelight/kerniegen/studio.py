"""One KernieGen: its folders, classes, queue, worker and sockets, put together.

Routes hold one of these and nothing else. What happens to the process on request (restart,
death) is handed in by whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import Callable
from typing import Any

from .execution import Ends, Settings, Worker
from .faults import Armed, read_fault
from .files import Place
from .hub import Hub
from .lab import lab
from .lineup import LineUp
from .nodes import core
from .options import Options
from .pictures import sinks, sources, upscaling
from .values import NodeClass

MAX_UPLOAD = 100 * 1024 * 1024
FOLDERS = (
    "checkpoints configs loras vae text_encoders diffusion_models clip_vision style_models "
    "embeddings diffusers vae_approx controlnet gligen upscale_models latent_upscale_models "
    "custom_nodes datasets hypernetworks photomaker classifiers model_patches audio_encoders "
    "background_removal frame_interpolation geometry_estimation optical_flow detection"
).split()
NEWER_FOLDERS = {
    "latent_upscale_models",
    "datasets",
    "background_removal",
    "frame_interpolation",
    "geometry_estimation",
    "optical_flow",
    "detection",
}


class Studio:
    """All parts of one server."""

    def __init__(self, options: Options, ends: Ends) -> None:
        self.options = options
        self.place = Place(options.data_dir)
        self.catalog = catalog_of(options, self.place)
        self.hub = Hub(options.client_id_bug)
        self.line = LineUp(self.tell_status)
        self.armed = Armed([read_fault(text) for text in options.faults])
        self.journal = Journal(options)
        self.visits = Visits()
        settings = Settings(options.step_seconds, options.previews == "auto", options.modern)
        self.worker = Worker(
            self.hub, self.line, self.place, self.catalog, settings, ends, self.journal.event
        )

    def tell_status(self) -> None:
        """Tell every socket how long the queue is."""
        self.hub.send("status", self.status(), None)

    def status(self) -> dict[str, Any]:
        """The data of a status message."""
        return {"status": {"exec_info": {"queue_remaining": self.line.remaining()}}}

    def features(self) -> dict[str, Any]:
        """What the server side of the feature flags says."""
        told: dict[str, Any] = {"supports_preview_metadata": True}
        if self.options.modern:
            told["supports_model_type_tags"] = True
        told["max_upload_size"] = MAX_UPLOAD
        if self.options.modern:
            told["extension"] = {"manager": {"supports_v4": True}}
            told |= {"node_replacements": True, "assets": False}
        return told

    def models(self) -> dict[str, list[str]]:
        """The folders of models, and what is in them."""
        found: dict[str, list[str]] = {
            name: [] for name in FOLDERS if self.options.modern or name not in NEWER_FOLDERS
        }
        found["checkpoints"] = list(self.options.checkpoints)
        found["loras"] = list(self.options.loras)
        found["upscale_models"] = list(self.options.upscalers)
        return found


def catalog_of(options: Options, place: Place) -> dict[str, NodeClass]:
    """Every class of nodes, by name."""
    found = core(options.checkpoints, options.loras, options.modern)
    for each in [*sources(place), *sinks(), *upscaling(options.upscalers), *lab()]:
        found[each.name] = each
    return found


class Journal:
    """One JSON line per request and per run, appended to a file: how others count what really
    ran, over all lives of a server that keeps its log. Without a file it does nothing."""

    def __init__(self, options: Options) -> None:
        self._path = options.log
        self._lock = threading.Lock()
        self._clock: Callable[[], float] = time.time

    def event(self, event: str, **what: object) -> None:
        """Add a line."""
        if self._path is None:
            return
        line = json.dumps({"time": self._clock(), "event": event, **what})
        with self._lock, self._path.open("a") as file:
            file.write(line + "\n")


class Visits:
    """Which paths were asked for, answered or not, and how often; lives on the loop."""

    def __init__(self) -> None:
        self._paths: Counter[str] = Counter()
        self._news = asyncio.Event()

    def note(self, path: str) -> None:
        """A request has come."""
        self._paths[path] += 1
        news, self._news = self._news, asyncio.Event()
        news.set()

    def count(self, path: str) -> int:
        """How many requests have come to paths that begin so."""
        return sum(n for known, n in self._paths.items() if known.startswith(path))

    async def wait_asked(self, path: str) -> int:
        """The count, as soon as there is one."""
        while not self.count(path):
            await self._news.wait()
        return self.count(path)
