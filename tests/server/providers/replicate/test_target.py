"""From a model's name to where it is begun."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.replicate.target import Route, released, route_of, target_of, version_in

V = "a" * 64


@pytest.mark.parametrize(
    ("name", "said", "route"),
    [
        ("o/n", {"is_official": True}, Route("models/o/n/predictions", None, "o/n")),
        ("o/n", {}, Route("models/o/n/predictions", None, "o/n")),
        (
            "o/n",
            {"is_official": False, "latest_version": {"id": V}},
            Route("predictions", V, "o/n"),
        ),
        (f"o/n:{V}", {"id": V}, Route("predictions", V, "o/n", pinned=True)),
        (V, {}, Route("predictions", V, None, pinned=True)),
        ("deployments/o/n", {}, Route("deployments/o/n/predictions")),
    ],
)
def test_routes(name: str, said: dict[str, Any], route: Route) -> None:
    """Each form of a name is begun where it is taken."""
    target = target_of(name)
    assert target is not None
    assert route_of(target, said) == route


@pytest.mark.parametrize("name", ["n", "o/n/x", "../n", "o/n:latest", "o /n", ""])
def test_no_names(name: str) -> None:
    """What is of no form is no name, and gets into no address."""
    assert target_of(name) is None


def test_a_deployment_tells_its_version() -> None:
    """A deployment's model is described by the version that it runs."""
    release = {"current_release": {"model": "o/n", "version": V}}
    assert released(release) == f"models/o/n/versions/{V}"
    assert released({}) is None and released({"current_release": {"model": 3}}) is None


def test_version_in() -> None:
    """A version is found in a model, and is one itself."""
    assert version_in({"latest_version": {"id": V}}) == {"id": V}
    assert version_in({"id": V, "openapi_schema": {}})["id"] == V
    assert version_in({"latest_version": None}) == {}
