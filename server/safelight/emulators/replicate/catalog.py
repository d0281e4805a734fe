"""Models with their versions and schemas, deployments, and what an account has."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from ..bench import Bench
from .answers import not_found
from .hooks import Hooks
from .models import BY_NAME, DEPLOYMENTS, Model
from .prices import HARDWARE
from .schema import document
from .store import moment

ACCOUNT = {"type": "organization", "username": "emulated", "name": "Emulated", "github_url": None}
BORN = 1_750_000_000.0
"""When the oldest versions were made."""


class Catalog:
    """Models, versions, deployments, and what an account has."""

    def __init__(self, bench: Bench, hooks: Hooks) -> None:
        self._bench = bench
        self._hooks = hooks

    async def models(self, request: Request) -> Response:
        """GET /models, and QUERY /models with words."""
        words = (await request.body()).decode(errors="replace") if request.method == "QUERY" else ""
        found = [self._model(m) for m in BY_NAME.values() if words.lower() in m.name + m.about]
        return JSONResponse({"previous": None, "next": None, "results": found})

    async def search(self, request: Request) -> Response:
        """GET /search?query=."""
        words = request.query_params.get("query", "")
        found = [m for m in BY_NAME.values() if words.lower() in (m.name + m.about).lower()]
        told = [{"model": self._model(m), "metadata": {"score": 1.0, "tags": []}} for m in found]
        return JSONResponse({"query": words, "models": told, "collections": [], "pages": []})

    async def model(self, request: Request) -> Response:
        """GET /models/{owner}/{name}."""
        return JSONResponse(self._model(_model(request)))

    async def versions(self, request: Request) -> Response:
        """GET /models/{owner}/{name}/versions."""
        model = _model(request)
        told = [] if model.official else [_version(model, each) for each in model.versions]
        return JSONResponse({"previous": None, "next": None, "results": told})

    async def version(self, request: Request) -> Response:
        """GET /models/{owner}/{name}/versions/{id}."""
        model = _model(request)
        if request.path_params["id"] not in model.versions:
            raise not_found()
        return JSONResponse(_version(model, request.path_params["id"]))

    async def deployment(self, request: Request) -> Response:
        """GET /deployments/{owner}/{name}."""
        name = "{owner}/{name}".format(**request.path_params)
        if name not in DEPLOYMENTS:
            raise not_found()
        return JSONResponse(_deployment(name, DEPLOYMENTS[name]))

    async def deployments(self, request: Request) -> Response:
        """GET /deployments."""
        told = [_deployment(name, model) for name, model in DEPLOYMENTS.items()]
        return JSONResponse({"previous": None, "next": None, "results": told})

    async def hardware(self, request: Request) -> Response:
        """GET /hardware."""
        return JSONResponse(HARDWARE)

    async def account(self, request: Request) -> Response:
        """GET /account."""
        return JSONResponse(ACCOUNT)

    async def secret(self, request: Request) -> Response:
        """GET /webhooks/default/secret."""
        return JSONResponse({"key": self._hooks.key})

    def _model(self, model: Model) -> dict[str, Any]:
        owner, name = model.name.split("/")
        return {
            "url": f"{self._bench.address}/{model.name}",
            "owner": owner,
            "name": name,
            "description": model.about,
            "visibility": "public",
            "is_official": model.official,
            "github_url": None,
            "paper_url": None,
            "license_url": None,
            "run_count": 1,
            "cover_image_url": None,
            "default_example": None,
            "latest_version": _version(model, model.versions[0]),
        }


def _model(request: Request) -> Model:
    found = BY_NAME.get("{owner}/{name}".format(**request.path_params))
    if found is None:
        raise not_found()
    return found


def _version(model: Model, id: str) -> dict[str, Any]:
    at = BORN - 86400.0 * model.versions.index(id)
    return {
        "id": id,
        "created_at": moment(at),
        "cog_version": "0.16.0",
        "openapi_schema": document(model.fields, model.output),
    }


def _deployment(name: str, model: Model) -> dict[str, Any]:
    owner, _, short = name.partition("/")
    return {
        "owner": owner,
        "name": short,
        "current_release": {
            "number": 1,
            "model": model.name,
            "version": model.versions[0],
            "created_at": moment(BORN),
            "created_by": ACCOUNT,
            "configuration": {"hardware": "gpu-t4", "min_instances": 0, "max_instances": 1},
        },
    }
