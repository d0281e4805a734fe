"""A server, its one KernieGen and one task that is followed, to be killed at any point.

Both are processes of their own, and the server waits shorter for its backend than usual.
What ran, and how often, is read from the backend's log over all its lives.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import httpx2

from tests.doubles.child import Child, child_process
from tests.doubles.followers import Follower, SocketFollower, StreamFollower, following
from tests.doubles.kernie import Kernie, kerniegen

BODY = {"kind": "image", "prompt": "a lamp that goes out", "model": "comfyui/txt2img"}
NOBODY = "http://127.0.0.1:9"


class BackendHouse:
    """The server, its one backend, and a witness on each kind of line."""

    def __init__(self, child: Child, kernie: Kernie, id: str) -> None:
        self.child = child
        self.kernie = kernie
        self.id = id
        self.followers: Sequence[Follower] = ()
        self._before = set(kernie.submitted())

    @property
    def http(self) -> httpx2.AsyncClient:
        """A client of the server as it is now."""
        return httpx2.AsyncClient(base_url=self.child.url, trust_env=False, verify=False)

    def runs(self) -> dict[str, int]:
        """How often each prompt of the task was run, over all lives of the backend. None was
        submitted twice."""
        submitted = [id for id in self.kernie.submitted() if id not in self._before]
        assert len(set(submitted)) == len(submitted), submitted
        return {id: n for id, n in self.kernie.runs().items() if id not in self._before}

    async def create(self, steps: int = 6) -> None:
        """The one task."""
        params = {"width": 64, "height": 64, "steps": steps}
        async with self.http as http:
            answer = await http.post("/api/tasks", json=BODY | {"id": self.id, "params": params})
            assert answer.status_code == 202, answer.text

    async def begun(self, path: str) -> None:
        """Return once the backend was asked for this, answered or not."""
        await anyio.to_thread.run_sync(self.kernie.wait_begun, path)

    async def ended(self) -> list[dict[str, Any]]:
        """What was told, once everybody was told the end."""
        with anyio.fail_after(60):
            for follower in self.followers:
                await follower.until_so(lambda follower=follower: follower.over)
        for follower in self.followers:
            follower.whole()
        return self.followers[0].events

    async def picture(self, events: list[dict[str, Any]]) -> None:
        """The end is a completion whose one picture opens."""
        assert events[-1]["type"] == "completed", json.dumps(events[-1])
        (made,) = events[-1]["result_data"]["artifacts"]
        async with self.http as http:
            assert len((await http.get(made["url"])).content) == made["bytes"]


@contextmanager
def backed(folder: Path, **options: object) -> Iterator[tuple[Child, Kernie]]:
    """A server and its one backend; `options` are the backend's."""
    with kerniegen(folder / "kernie", **{"step_seconds": 0.05} | options) as kernie:
        where = {"backends__kerniegen__url": kernie.url, "retry_base_seconds": 0.1}
        where |= {"fetch_tries": 10}  # the backend may take its time to come back
        with child_process(folder / "data", NOBODY, hasty=True, **where) as child:
            yield child, kernie


@asynccontextmanager
async def watched(child: Child, kernie: Kernie, id: str) -> AsyncIterator[BackendHouse]:
    """The task of that id, not made yet, and followed."""
    made = BackendHouse(child, kernie, id)
    witnesses = SocketFollower(child.url, id), StreamFollower(child.url, id)
    async with following(witnesses) as made.followers:
        yield made


@asynccontextmanager
async def backend_house(folder: Path, **options: object) -> AsyncIterator[BackendHouse]:
    """Everything started and followed."""
    with backed(folder, **options) as (child, kernie):
        async with watched(child, kernie, "killed") as made:
            yield made
