"""An object store on loopback: moto's server as a child process, with one empty bucket.

Every wait is bounded. It keeps what it was given in memory, and checks no signatures.
Unrealistic in what real stores do slowly, late, or at their own pace.
"""

from __future__ import annotations

import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from safelight.storage.s3 import Access
from tests.doubles.process import GREETING, START_SECONDS, ServerProcess, started

ROOT = Path(__file__).parents[2]
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


class _Process(ServerProcess):
    """The store's process. It takes connections from before it says where it listens."""

    def command(self) -> list[str]:
        """This module, without the warnings of what it stands on."""
        return ["-W", "ignore", "-m", "tests.doubles.bucket"]

    def environment(self) -> dict[str, str]:
        """Where `tests` is found."""
        return super().environment() | {"PYTHONPATH": str(ROOT)}


@contextmanager
def bucket(folder: Path) -> Iterator[Bucket]:
    """A store of its own, ended with the block."""
    with started(_Process(folder / "moto")) as process:
        made = Bucket(int(process.url.rpartition(":")[2]))
        asked = urllib.request.Request(f"{made.endpoint}/{NAME}", method="PUT")
        urllib.request.urlopen(asked, timeout=START_SECONDS).close()
        yield made


def main() -> None:
    """Be the store until a signal ends it."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import make_server

    app = DomainDispatcherApplication(create_backend_app)
    server = make_server("127.0.0.1", 0, app, threaded=True)
    print(f"{GREETING}http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
