"""One phase against one server: a new process on a new folder, loaded, measured, ended.

Knows how the product and its peers are started and what they are sent, not which of them are
compared or what the figures mean; that is `benchmarks/bench_create.py`.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import httpx2

from benchmarks import machine
from benchmarks.stores.services import Service

CONNECTIONS = 64
WARM_SECONDS = 1.0
BODY_SIZE = 220
PLACES = 4
TOKEN = "a-token-of-the-benchmark"
OURS = "safelight"
GRADIO = "Gradio's queue"


class Peer(NamedTuple):
    """One row: how its server is started and what it is asked."""

    name: str
    module: str
    path: str = "/api/tasks"
    status: int = 202
    needs: str = ""
    package: str = ""
    listed: str = "peers"


class Phase(NamedTuple):
    """What one phase of one peer gave. `used` is the share of the server's core that its processes
    took, `elsewhere` what others took of it, `idle` the part of the phase in which the generator
    waited."""

    rate: float
    p50: float
    p99: float
    cpu_us: float
    used: float
    elsewhere: float
    idle: float


class Bench:
    """The generator, the services and the folder that all phases share."""

    def __init__(self, generator: Path, folder: Path, services: dict[str, Service | None]) -> None:
        self._generator = generator
        self._folder = folder
        self.services = services
        self._phases = 0

    def create(self, peer: Peer, seconds: float) -> Phase:
        """One phase of POST."""
        with self._server(peer) as (child, port):
            if peer.name == OURS:
                for number in range(PLACES):
                    hang(port, number)
            return self._measure(peer, child, port, post(peer.path, peer.name == GRADIO), seconds)

    def read(self, peer: Peer, seconds: float) -> Phase:
        """One phase of GET; ours shows a task that runs."""
        with self._server(peer) as (child, port):
            id = hang(port, 0) if peer.name == OURS else "0" * 25
            return self._measure(peer, child, port, head("GET", f"/api/tasks/{id}"), seconds)

    @contextmanager
    def _server(self, peer: Peer) -> Iterator[tuple[subprocess.Popen[bytes], int]]:
        port, folder = machine.free_port(), self._folder / f"phase-{self._phases}"
        self._phases += 1
        folder.mkdir()
        service = self.services.get(peer.needs)
        with (folder / "errors").open("wb") as errors:
            child = subprocess.Popen(
                command(peer, port, folder),
                env=environment(service),
                stdout=subprocess.DEVNULL,
                stderr=errors,
                start_new_session=True,
            )
        try:
            machine.pin(child.pid, machine.SERVER_CORE)
            machine.wait_listening(port, child)
            yield child, port
        except BaseException:
            print((folder / "errors").read_text(errors="replace")[-3000:], file=sys.stderr)
            raise
        finally:
            child.kill()
            child.wait()
            shutil.rmtree(folder)

    def _measure(
        self,
        peer: Peer,
        child: subprocess.Popen[bytes],
        port: int,
        request: bytes,
        seconds: float,
    ) -> Phase:
        """Load it, and count the processor time of its tree and of its service meanwhile."""
        file = self._folder / "request"
        file.write_bytes(request)
        service = self.services.get(peer.needs)
        pids = [child.pid, *([service.pid] if service else [])]
        for pid in pids:
            machine.pin(pid, machine.SERVER_CORE)
            machine.favour(pid)
        order = [self._generator, port, CONNECTIONS, WARM_SECONDS, seconds, peer.status, file]
        words = [str(word) for word in order]
        with subprocess.Popen(words, stdout=subprocess.PIPE, start_new_session=True) as load:
            machine.pin(load.pid, machine.GENERATOR_CORE)
            assert load.stdout is not None
            machine.favour(load.pid)
            load.stdout.readline()
            before = [self._used(pids), machine.core_seconds(machine.SERVER_CORE)]
            told = load.stdout.readline()
            after = [self._used(pids), machine.core_seconds(machine.SERVER_CORE)]
        if not told:
            raise RuntimeError(f"the generator failed against {peer.name}")
        used, core = (b - a for a, b in zip(before, after, strict=True))
        return phase(peer, json.loads(told), used, core - used)

    @staticmethod
    def _used(pids: list[int]) -> float:
        return sum(map(machine.cpu_seconds, pids))


def phase(peer: Peer, told: dict[str, Any], used: float, others: float) -> Phase:
    """The generator's figures and the server's, as a phase."""
    if told["strange"]:
        raise RuntimeError(f"{peer.name} gave {told['strange']} answers that are not {peer.status}")
    requests, seconds = told["requests"], told["seconds"]
    us = used / requests * 1e6
    elsewhere = max(0.0, others / seconds)
    shares = (used / seconds, elsewhere, told["idle"])
    return Phase(requests / seconds, told["p50_ms"], told["p99_ms"], us, *shares)


def command(peer: Peer, port: int, folder: Path) -> list[str]:
    """The product by its command line, a peer by its module."""
    if peer.name == OURS:
        ours = [sys.executable, "-m", "safelight", "serve", "--port", str(port)]
        return [*ours, "--data-dir", str(folder / "data")]
    python = machine.peers_python(peer.listed) if peer.package else Path(sys.executable)
    return [str(python), "-m", peer.module, str(port), str(folder)]


def environment(service: Service | None) -> dict[str, str]:
    """Ours, without settings of somebody else's server; peers find these modules by it."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
    path = os.pathsep.join([*filter(None, [inherited.get("PYTHONPATH")]), str(machine.ROOT)])
    given = {"SAFELIGHT_SCRIPTED": "true", "SAFELIGHT_TOKENS": f"bench:{TOKEN}"}
    return inherited | given | (service.environ if service else {}) | {"PYTHONPATH": path}


def head(method: str, path: str, *more: str) -> bytes:
    """A request without a body. Everyone gets the token; only ours looks at it."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Authorization: Bearer {TOKEN}"]
    return "\r\n".join([*lines, *more, "", ""]).encode()


def post(path: str, gradio: bool) -> bytes:
    """A create of BODY_SIZE bytes; the generator numbers its ten marks."""
    wanted: dict[str, Any] = {"kind": "image", "model": "scripted/image", "prompt": "@" * 10 + " "}
    if gradio:
        wanted = {"data": ["@" * 10 + " "]}
    room = BODY_SIZE - len(json.dumps(wanted, separators=(",", ":")))
    text = ("a medieval monk at dawn, seen from the gate, " * 6)[:room]
    if gradio:
        wanted["data"][0] += text
    else:
        wanted["prompt"] += text
    body = json.dumps(wanted, separators=(",", ":")).encode()
    assert len(body) == BODY_SIZE
    kinds = ("Content-Type: application/json", f"Content-Length: {len(body)}")
    return head("POST", path, *kinds) + body


def hang(port: int, number: int) -> str:
    """A task of ours that runs and never ends; returns its id."""
    body = {"kind": "image", "model": "scripted/image", "prompt": f"hanging {number}"}
    body["params"] = {"script": [{"do": "hang"}]}  # type: ignore[assignment]
    url = f"http://127.0.0.1:{port}/api/tasks"
    headers = {"Authorization": f"Bearer {TOKEN}"}
    answer = httpx2.post(url, json=body, headers=headers, trust_env=False, timeout=30)
    id: str = answer.raise_for_status().json()["data"]["task_id"]
    return id
