"""Story: a task was stored with one backend and ran on another, and no event said so.

The resolved task names the backend, and the first word of each attempt repeats it.
"""

from __future__ import annotations

from safelight_protocol import events as wire
from safelight_protocol import inputs as happened
from safelight_protocol.lifecycle import step
from tests.doubles.lives import NOW, fresh, resolved


def test_started_says_where_it_runs() -> None:
    """`started` carries model, provider and backend of the resolved task."""
    where = {"model": "flux", "provider": "comfyui", "backend": "kerniegen"}
    told = step(fresh(resolved=resolved(**where)), happened.Claimed(NOW + 60_000), NOW).event
    assert isinstance(told, wire.Started)
    assert {"model": told.model, "provider": told.provider, "backend": told.backend} == where
