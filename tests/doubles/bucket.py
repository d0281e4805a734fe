"""An object store on loopback: moto's server as a child process, with one empty bucket.

Every wait is bounded. It keeps what it was given in memory, and checks no signatures.
Unrealistic in what real stores do slowly, late, or at their own pace.
"""

from __future__ import annotations

import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safelight.storage.s3 import Access

START_SECONDS = 30.0
NAME = "safelight-test"


class Bucket:
    """A bucket at `endpoint`."""

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"

    def access(self, prefix: str = "files") -> Access:
        """How our storage reaches it."""
        return Access(url=f"s3://{NAME}/{prefix}", **self._keys())

    def settings(self, prefix: str = "files") -> dict[str, Any]:
        """The settings of a server that keeps its files there."""
        keys = {f"s3_{name}": value for name, value in self._keys().items()}
        return {"storage": "s3", "s3_url": f"s3://{NAME}/{prefix}"} | keys

    def names(self) -> list[str]:
        """What lies in it, by a listing that is not ours."""
        with urllib.request.urlopen(f"{self.endpoint}/{NAME}?list-type=2", timeout=10) as answer:
            text = answer.read().decode()
        return [part.partition("</Key>")[0] for part in text.split("<Key>")[1:]]

    def _keys(self) -> dict[str, str]:
        return {
            "region": "us-east-1",
            "endpoint": self.endpoint,
            "key_id": "key",
            "secret": "hidden-secret",
        }


@contextmanager
def bucket(folder: Path) -> Iterator[Bucket]:
    """A store of its own, ended with the block."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]
    with (folder / "moto.log").open("w") as said:
        child = subprocess.Popen(
            [
                sys.executable,
                "-W",
                "ignore",
                "-m",
                "moto.server",
                "-H",
                "127.0.0.1",
                "-p",
                str(port),
            ],
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
        )
    try:
        made = Bucket(port)
        _make(made, child)
        yield made
    finally:
        child.kill()
        child.wait(10)


def _make(made: Bucket, child: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_SECONDS
    asked = urllib.request.Request(f"{made.endpoint}/{NAME}", method="PUT")
    while True:
        try:
            urllib.request.urlopen(asked, timeout=5).close()
            return
        except urllib.error.URLError:
            assert child.poll() is None, "moto's server has ended"
            assert time.monotonic() < until, "moto's server does not listen"
            time.sleep(0.05)
