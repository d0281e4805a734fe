"""From the name of a model to where it is asked for, and where it is described.

Four forms are understood: `owner/name` (an official model by its own address, any other by
its latest version), `owner/name:version`, a version alone, and `deployments/owner/name`.
Pure.
"""

from __future__ import annotations

import re
from typing import Any

import msgspec

_VERSION = re.compile(r"[0-9a-f]{40,64}\Z")
_PART = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_MODEL = re.compile(rf"({_PART})/({_PART})(?::([0-9a-f]{{40,64}}))?\Z")
_DEPLOYMENT = re.compile(rf"deployments/({_PART})/({_PART})\Z")


class Target(msgspec.Struct, frozen=True):
    """`describe` is where what it takes is told, None where nobody tells; `version` the one
    that was named. A `deployment` tells first which version it runs."""

    model: str
    describe: str | None
    version: str | None = None
    deployment: bool = False


class Route(msgspec.Struct, frozen=True):
    """Where a prediction is begun, and the version that its body needs beside the input.
    `model` is the one that a prediction of it will tell, where that is known; `pinned` says
    that it will tell this version, too."""

    path: str
    version: str | None = None
    model: str | None = None
    pinned: bool = False


def target_of(name: str) -> Target | None:
    """What a name means; None if it is of no form that Replicate has."""
    if _VERSION.fullmatch(name):
        return Target(name, None, name)
    found = _DEPLOYMENT.fullmatch(name)
    if found is not None:
        return Target(name, f"deployments/{found[1]}/{found[2]}", deployment=True)
    found = _MODEL.fullmatch(name)
    if found is None:
        return None
    owner, model, version = found.groups()
    where = f"models/{owner}/{model}"
    if version is not None:
        return Target(f"{owner}/{model}", f"{where}/versions/{version}", version)
    return Target(f"{owner}/{model}", where)


def released(description: dict[str, Any]) -> str | None:
    """Where the version of a deployment is described."""
    release = description.get("current_release")
    if not isinstance(release, dict):
        return None
    target = target_of(f"{release.get('model')}:{release.get('version')}")
    return None if target is None else target.describe


def version_in(description: dict[str, Any]) -> dict[str, Any]:
    """The version in what a model says of itself, which a version is already."""
    latest = description.get("latest_version")
    if isinstance(latest, dict):
        return latest
    return description if "openapi_schema" in description else {}


def route_of(target: Target, description: dict[str, Any]) -> Route:
    """How it is begun, given its description: a model that is not official has no address
    of its own, and is begun by its version."""
    if target.deployment:
        return Route(f"{target.describe}/predictions")
    if target.version is not None:
        model = None if target.describe is None else target.model
        return Route("predictions", target.version, model, pinned=True)
    id = version_in(description).get("id")
    if description.get("is_official") is False and isinstance(id, str):
        return Route("predictions", id, target.model)
    return Route(f"{target.describe}/predictions", None, target.model)
