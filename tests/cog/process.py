"""A real Cog server as a child process, serving the model beside this file.

    with cog(tmp_path, upload_url=...) as server:
        httpx2.get(server.url + "/health-check")

Every wait is bounded. It spawns its worker as `python`, so ours is first in its PATH. The
port is asked of the system a moment before Cog takes it, since Cog does not tell its own.
"""

from __future__ import annotations

import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import httpx2

MODEL = Path(__file__).parent / "model"
READY = b"now accepting requests"
"""What it says behind the end of its model's setup, when `/health-check` says READY."""

START_SECONDS = 30.0
STOP_SECONDS = 10.0


class Cog:
    """One Cog server. `url` answers once it is started."""

    def __init__(self, folder: Path, upload_url: str = "", throttle: float = 0.5) -> None:
        self._folder = folder
        self._upload = upload_url
        self._throttle = throttle
        self._child: subprocess.Popen[bytes] | None = None
        self._said: list[bytes] = []
        self.port = _free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start it and wait until its model is ready. Raises AssertionError with its words."""
        (self._folder / ".cog").mkdir(parents=True, exist_ok=True)
        shutil.copy(MODEL / "run.py", self._folder)
        shutil.copy(MODEL / "schema.json", self._folder / ".cog/openapi_schema.json")
        command = [sys.executable, "-m", "cog.server.http", "--host", "127.0.0.1"]
        if self._upload:
            command += ["--upload-url", self._upload]
        self._child = subprocess.Popen(
            command,
            cwd=self._folder,
            env=self._environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert self._child.stdout is not None
        ready: queue.Queue[bool] = queue.Queue()
        threading.Thread(target=self._read, args=(self._child.stdout, ready), daemon=True).start()
        assert ready.get(timeout=START_SECONDS), self.words()
        assert self.health() == "READY", self.words()

    def health(self) -> str:
        """What it says of itself; GONE when nobody answers."""
        try:
            answer = httpx2.get(self.url + "/health-check", timeout=5.0, trust_env=False)
        except httpx2.TransportError:
            return "GONE"
        return str(answer.json()["status"])

    def terminate(self) -> int:
        """SIGTERM; returns its exit code."""
        assert self._child is not None
        self._child.send_signal(signal.SIGTERM)
        return self._child.wait(STOP_SECONDS)

    def close(self) -> None:
        """End whatever of it still runs."""
        if self._child is not None and self._child.poll() is None:
            self._child.terminate()
            try:
                self._child.wait(STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait(STOP_SECONDS)

    def words(self) -> str:
        """What it wrote."""
        return b"".join(self._said).decode(errors="replace")

    def _read(self, pipe: IO[bytes], ready: queue.Queue[bool]) -> None:
        """Read to the end, so that it never waits for us; tell when it is ready, or ended."""
        with pipe:
            for line in pipe:
                self._said.append(line)
                if READY in line:
                    ready.put(True)
        ready.put(False)

    def _environment(self) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"
        return os.environ | {
            "PATH": path,
            "PORT": str(self.port),
            "COG_PREDICT_TYPE_STUB": "run.py:Runner",
            "COG_THROTTLE_RESPONSE_INTERVAL": str(self._throttle),
        }


@contextmanager
def cog(folder: Path, **options: object) -> Iterator[Cog]:
    """A Cog server that is ready; ended at exit."""
    server = Cog(folder, **options)
    try:
        server.start()
        yield server
    finally:
        server.close()


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as found:
        return int(found.getsockname()[1])
