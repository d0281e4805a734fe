"""KernieGen is held against recordings of two releases of the real server, line by line.

`COMFYUI_URL` runs the same suite against any server: it must be of a recorded release,
with the nodes of tests/kerniegen/labnodes and the recorder's checkpoint.
docs/kerniegen.md says how.
"""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.kernie import Kernie
from tests.kerniegen.compare import Difference, differences
from tests.kerniegen.talk import Talk

HERE = Path(__file__).parent
PACES = {"validation_errors": 500}
"""Milliseconds of the lab's steps that took 120, in requests and expected answers: half of it,
but where a prompt must run until many others were refused, however busy the machine."""


def recorded() -> dict[str, dict[str, Any]]:
    """Talks by release and scenario, at our pace."""
    text = (HERE / "recordings.json").read_text()
    found: dict[str, dict[str, Any]] = {}
    for release, talks in json.loads(text)["servers"].items():
        found[release] = {
            name: json.loads(
                json.dumps(talk).replace('"delay_ms": 120', f'"delay_ms": {PACES.get(name, 60)}')
            )
            for name, talk in talks.items()
        }
    return found


RECORDED = recorded()
DECLARED = tomllib.loads((HERE / "differences.toml").read_text())["difference"]
SHORT = {"0.33.0": "0.33", "0.3.64": "0.3.64"}
REAL = os.environ.get("COMFYUI_URL", "").rstrip("/")
RESTARTS = ("server_killed_mid_prompt", "server_sigterm_mid_prompt")


def real_release() -> str:
    """The release of the server that COMFYUI_URL names."""
    stats = httpx2.get(REAL + "/system_stats", timeout=30).json()
    return str(stats["system"]["comfyui_version"])


def cases() -> list[tuple[str, str]]:
    """Release and scenario; what cannot be asked of somebody's own server is left out."""
    releases = [real_release()] if REAL else list(RECORDED)
    return [
        (release, name)
        for release in releases
        for name in RECORDED[release]
        if not (REAL and name in RESTARTS)
    ]


class Stage:
    """One server per release, on which its talks are played one after the other, while those
    of the other release are played on the other. Most of a talk is waiting."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._servers: dict[str, Kernie] = {}
        self._players = {release: ThreadPoolExecutor(1) for release in RECORDED}
        self._found: dict[tuple[str, str], Future[list[Difference]]] = {}

    def differences(self, release: str, name: str) -> list[Difference]:
        """What differs in a talk, which is played once."""
        return self.begun(release, name).result()

    def begun(self, release: str, name: str) -> Future[list[Difference]]:
        """Play a talk when its server is free."""
        if (release, name) not in self._found:
            player = self._players[release]
            self._found[release, name] = player.submit(self._play, release, name)
        return self._found[release, name]

    def _play(self, release: str, name: str) -> list[Difference]:
        events = RECORDED[release][name]["events"]
        server = None if REAL else self._server(release)

        def end(by: str) -> None:
            assert server is not None
            if by == "SIGKILL":
                server.kill()
            else:
                server.stop()

        def begin() -> None:
            assert server is not None
            server.start()

        async def play() -> list[Difference]:
            talk = Talk(server.url if server else REAL, events, end, begin)
            answers = await talk.play()
            return differences(f"{release}/{name}", events, answers, talk.messages())

        return asyncio.run(play())

    def _server(self, release: str) -> Kernie:
        if release not in self._servers:
            self._servers[release] = Kernie(
                self._folder / release.replace(".", "-"),
                version=SHORT[release],
                checkpoint="lab_tiny_random.safetensors",
                lora="",
                step_seconds=0.05,
            )
            self._servers[release].start()
        return self._servers[release]

    def close(self) -> None:
        """End the servers, and what nobody waited for."""
        for player in self._players.values():
            player.shutdown(cancel_futures=True)
        for server in self._servers.values():
            server.close()


@pytest.fixture(scope="module")
def stage(
    tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Stage]:
    """The servers of this file, and every talk that will be asked about begun."""
    found = Stage(tmp_path_factory.mktemp("kerniegen"))
    try:
        for item in request.session.items:
            asked = getattr(item, "callspec", None)
            if asked is not None and item.path == request.path:
                found.begun(asked.params["release"], asked.params["name"])
        yield found
    finally:
        found.close()


def reason(place: str) -> str | None:
    """Why this difference is meant to be, if it is; of a real server only if that says so."""
    known = [d for d in DECLARED if d.get("real") or not REAL]
    return next((d["reason"] for d in known if fnmatchcase(place, d["where"])), None)


@pytest.mark.parametrize("release, name", cases())
def test_a_recorded_talk_sounds_the_same(stage: Stage, release: str, name: str) -> None:
    """Statuses, error types, keys and the order of messages are those of the real server."""
    found = stage.differences(release, name)
    surprising = [f"{place}: {what}" for place, what in found if reason(place) is None]
    assert not surprising, "\n".join(surprising)


@pytest.mark.slow
def test_every_declared_difference_is_still_there(stage: Stage) -> None:
    """A difference that was declared and is gone is taken out of the file; that is asked of
    KernieGen alone."""
    declared = [] if REAL else DECLARED
    places = [place for case in cases() for place, _ in stage.differences(*case)]
    unused = [d["where"] for d in declared if not any(fnmatchcase(p, d["where"]) for p in places)]
    assert not unused
