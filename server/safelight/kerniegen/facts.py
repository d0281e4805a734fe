"""Routes that tell about the server: classes of nodes, models, system, features.

And its own, under /kerniegen: how often each prompt ran, what was asked for, and which faults
are armed.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Any

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from .answers import as_json, empty
from .faults import BadFault, read_fault
from .studio import Studio
from .values import NodeClass

NEWER_CATEGORIES = {"sampling": "model/sampling", "loaders": "model/loaders"}
PAGE = """<!doctype html><meta charset="utf-8"><title>KernieGen</title>
<p>KernieGen listens here. It speaks the API of ComfyUI and paints with Safelight's brush."""


class Facts:
    """The handlers; one per route."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio

    async def page(self, request: Request) -> Response:
        """GET /, where the real one has its editor."""
        return HTMLResponse(PAGE)

    async def features(self, request: Request) -> Response:
        """GET /features."""
        return as_json(self._studio.features())

    async def object_info(self, request: Request) -> Response:
        """GET /object_info, all classes."""
        modern = self._studio.options.modern
        catalog = self._studio.catalog
        return as_json({name: described(each, modern) for name, each in catalog.items()})

    async def object_info_of(self, request: Request) -> Response:
        """GET /object_info/{name}; an unknown class is an empty object."""
        known = self._studio.catalog.get(request.path_params["name"])
        modern = self._studio.options.modern
        return as_json({known.name: described(known, modern)} if known else {})

    async def folders(self, request: Request) -> Response:
        """GET /models."""
        return as_json(list(self._studio.models()))

    async def models(self, request: Request) -> Response:
        """GET /models/{folder}."""
        found = self._studio.models().get(request.path_params["folder"])
        return empty(404) if found is None else as_json(found)

    async def embeddings(self, request: Request) -> Response:
        """GET /embeddings: there are none."""
        return as_json([])

    async def metadata(self, request: Request) -> Response:
        """GET /view_metadata/{folder}: no model here has any."""
        return empty(404)

    async def logs(self, request: Request) -> Response:
        """GET /internal/logs/raw, which tells nothing here."""
        return as_json({"entries": [], "size": {"cols": 80, "rows": 24}})

    async def model_folders(self, request: Request) -> Response:
        """GET /api/experiment/models; the real one discloses its paths here."""
        folders = self._studio.models()
        return as_json([{"name": name, "folders": [], "extensions": []} for name in folders])

    async def system_stats(self, request: Request) -> Response:
        """GET /system_stats."""
        memory, free = _pages("SC_PHYS_PAGES"), _pages("SC_AVPHYS_PAGES")
        told = _system(self._studio.options.release, self._studio.options.modern)
        told |= {"ram_total": memory, "ram_free": free}
        device: dict[str, Any] = {"name": "cpu", "type": "cpu", "index": None}
        device |= {"vram_total": memory, "vram_free": free}
        device |= {"torch_vram_total": memory, "torch_vram_free": free}
        return as_json({"system": told, "devices": [device]})

    async def runs(self, request: Request) -> Response:
        """GET /kerniegen/runs."""
        return as_json(self._studio.worker.runs)

    async def requests(self, request: Request) -> Response:
        """GET /kerniegen/requests: answers when one has come to a path that begins so."""
        path = request.query_params.get("path", "/")
        return as_json({"requests": await self._studio.visits.wait_asked(path)})

    async def faults(self, request: Request) -> Response:
        """GET, POST and DELETE /kerniegen/faults: tell, add, forget."""
        if request.method == "POST":
            try:
                given = (await request.json())["faults"]
                self._studio.armed.arm([read_fault(text) for text in given])
            except (BadFault, KeyError, ValueError, TypeError, AttributeError) as trouble:
                return as_json({"error": str(trouble)}, 400)
        if request.method == "DELETE":
            self._studio.armed.disarm()
        return as_json({"faults": self._studio.armed.written()})


def described(known: NodeClass, modern: bool) -> dict[str, Any]:
    """A class as /object_info tells it."""
    inputs = known.inputs()
    told: dict[str, Any] = {
        "input": inputs,
        "input_order": {category: list(names) for category, names in inputs.items()},
    }
    if modern:
        told["is_input_list"] = False
    told |= {
        "output": list(known.outputs),
        "output_is_list": [False] * len(known.outputs),
        "output_name": list(known.outputs),
        "name": known.name,
        "display_name": known.display or known.name,
        "description": "",
        "python_module": known.module,
        "category": NEWER_CATEGORIES.get(known.category, known.category)
        if modern
        else known.category,
        "output_node": known.is_output,
    }
    if modern:
        told["has_intermediate_output"] = False
    told["output_tooltips"] = [""] * len(known.outputs)
    if modern:
        told["search_aliases"] = []
    return told


def _pages(name: str) -> int:
    """Bytes of memory; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf(name)
    except (AttributeError, OSError, ValueError):
        return 0


def _system(release: str, modern: bool) -> dict[str, Any]:
    told: dict[str, Any] = {
        "os": "linux" if modern else "posix",
        "comfyui_version": release,
        "required_frontend_version": "0.0.0",
        "installed_templates_version": None,
        "required_templates_version": "0.0.0",
        "python_version": platform.python_version(),
        "pytorch_version": "none (KernieGen)",
        "embedded_python": False,
        "argv": ["kerniegen", *(word for word in sys.argv[1:] if word.startswith("--"))],
    }
    if modern:
        told |= {"comfy_package_versions": [], "deploy_environment": "kerniegen"}
    return told
