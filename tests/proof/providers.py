"""`python -m tests.proof.providers NAME --tasks 1000 --seed 7`: a paid provider on a bad day.

A real server process runs tasks at the emulator of that provider, where a share of all that
happens goes wrong by chance, and is killed now and then. When every task has ended, the
emulator's own log, the events and the ledger are held against each other. The last line has
the figures; a rule that was broken is a line before it, and the exit code 1.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import httpx2
import msgspec

from tests.doubles.emulated import Emulated, emulated
from tests.doubles.process import ServerProcess, started

from .bills import TERMINAL, Figures, Told, judged
from .hosts import HOSTS, Host

SETTINGS = {
    "log_level": "error",
    "retry_base_seconds": 0.05,
    "retry_max_seconds": 1.0,
    "attempts": 4,
    "attempt_timeout_seconds": 15,
    "cancel_timeout_seconds": 2,
    "drain_seconds": 0.3,
    "breaker_faults": 64,
    "breaker_seconds": 0.5,
    "png_text": False,
}
"""Short waits; a breaker is another test's subject."""

MOST_LIVE = 48
"""Tasks that are under way at once."""

MOST_HEARD = 6
"""A kill comes when fewer than so many events of the newest task were told."""

END_SECONDS = 120.0
"""How long after the last create the last task may take to end."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`share` of all that happens at the emulator goes wrong; the server is killed `kills`
    times; one in `cancel_every` tasks is cancelled."""

    name: str
    tasks: int
    seed: int
    share: float = 0.15
    kills: int = 4
    cancel_every: int = 20
    pace: float = 0.004


class Server(ServerProcess):
    """The real one, at a port that is known before, since webhooks have to find it."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        with socket.create_server(("127.0.0.1", 0)) as free:
            port = int(free.getsockname()[1])
        super().__init__(data_dir, public_url=f"http://127.0.0.1:{port}", **settings)
        self._port = port


def prove(plan: Plan, folder: Path, say: Callable[[str], None]) -> tuple[Figures, list[str]]:
    """The figures of one campaign, and every rule that was broken."""
    host = HOSTS[plan.name]
    options = {"chaos": plan.share, "seed": plan.seed, "pace": plan.pace}
    with emulated(folder, plan.name, **options) as emulator:
        with _served(plan, host, folder, emulator) as server, _door(server) as door:
            tasks = _load(plan, host, server, door)
            say(f"{len(tasks)} created")
            _wait_ended(door, tasks)
            with suppress(AssertionError):  # a run without an end is for the judge
                emulator.settled()
            _collect(door, tasks)
        figures, broken = judged(tasks, emulator.log(), plan.kills)
        return figures, broken + list(_defects(server, emulator))


@contextmanager
def _served(plan: Plan, host: Host, folder: Path, emulator: Emulated) -> Iterator[Server]:
    providers = host.settings(plan.name, emulator.url, emulator.key)
    settings: dict[str, object] = dict(SETTINGS)
    for entry, fields in providers.items():
        settings |= {f"providers__{entry}__{field}": value for field, value in fields.items()}
    if host.models:
        models = folder / "models.toml"
        models.write_text(host.models)
        settings["models_file"] = models
    with started(Server(folder / "data", **settings)) as server:
        yield server


@contextmanager
def _door(server: Server) -> Iterator[httpx2.Client]:
    with httpx2.Client(base_url=server.url, timeout=30) as door:
        yield door


def _load(plan: Plan, host: Host, server: Server, door: httpx2.Client) -> list[Told]:
    """Create every task, once each, while the server is killed now and then, at an event that
    is drawn; whoever is MOST_LIVE behind must have ended."""
    die = random.Random(plan.seed)
    kills = sorted(die.randrange(plan.tasks) for _ in range(plan.kills))
    tasks = []
    for number in range(plan.tasks):
        body = host.body(number, die)
        made = _asked(door, "POST", "/api/tasks", body, {"Idempotency-Key": f"proof-{number}"})
        tasks.append(Told(number, made["data"]["task_id"]))
        if die.randrange(plan.cancel_every) == 0:
            _asked(door, "POST", f"/api/tasks/{tasks[-1].id}/cancel", {})
        for _ in range(kills.count(number)):
            _told(door, tasks[-1].id, time.monotonic() + END_SECONDS, die.randrange(MOST_HEARD))
            server.kill()
            server.start()
        if number >= MOST_LIVE:
            _told(door, tasks[number - MOST_LIVE].id, time.monotonic() + END_SECONDS)
    return tasks


def _asked(
    door: httpx2.Client,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Any:
    """The JSON of an answer; asked again at once where the connection was of a server before, or
    the provider that was asked for this had a bad moment and nothing was taken."""
    deadline = time.monotonic() + END_SECONDS
    while True:
        try:
            answer = door.request(method, path, json=body, headers=headers)
        except httpx2.TransportError:
            answer = None
        if answer is not None and answer.status_code != 503:
            found = f"{method} {path}: {answer.status_code} {answer.text}"
            assert answer.status_code < 300, found
            return answer.json()
        assert time.monotonic() < deadline, "the server did not come back"


def _told(
    door: httpx2.Client, id: str, until: float, most: int | None = None
) -> list[dict[str, Any]]:
    """The first events of a task, up to so many or its end. A stream of ours says something at
    least every 10 s, so it is left soon after that time."""
    while True:
        told: list[dict[str, Any]] = []
        try:
            with door.stream("GET", f"/api/tasks/{id}/events") as stream:
                for line in stream.iter_lines():
                    if len(told) == most or time.monotonic() > until:
                        break
                    if line[:5] == "data:":
                        told.append(json.loads(line[6:]))
            return told
        except httpx2.TransportError:  # a connection of a server before
            assert time.monotonic() < until, "the server did not come back"


def _wait_ended(door: httpx2.Client, tasks: list[Told]) -> None:
    """Until every task has ended, or far too long; who is stuck then is found by its events."""
    until = time.monotonic() + END_SECONDS
    for task in tasks:
        _told(door, task.id, until)


def _collect(door: httpx2.Client, tasks: list[Told]) -> None:
    """The events and the lines of the ledger of every task, as they were together: read again
    when the ledger learnt of something meanwhile."""
    before, now = None, _asked(door, "GET", "/api/usage")["data"]
    while before != now:
        _collect_events(door, tasks)
        _collect_lines(door, tasks)
        before, now = now, _asked(door, "GET", "/api/usage")["data"]


def _collect_events(door: httpx2.Client, tasks: list[Told]) -> None:
    for task in tasks:
        snapshot = _asked(door, "GET", f"/api/tasks/{task.id}")["data"]
        if snapshot["status"] in TERMINAL:
            task.events = _told(door, task.id, time.monotonic() + END_SECONDS)


def _collect_lines(door: httpx2.Client, tasks: list[Told]) -> None:
    by_id = {task.id: task for task in tasks}
    for task in tasks:
        task.lines = []
    query = "/api/usage?entries=1&limit=200"
    page = _asked(door, "GET", query)["data"]
    while True:
        for entry in page["entries"]:
            by_id[entry["task_id"]].lines.insert(0, entry)
        before = page["next"]
        if before is None:
            return
        page = _asked(door, "GET", f"{query}&before={before}")["data"]


def _defects(server: Server, emulator: Emulated) -> Iterator[str]:
    """What either process wrote about itself that it should not have to."""
    for line in server.stderr().splitlines():
        if "[error" in line or line.startswith("Traceback"):
            yield f"the server wrote: {line}"
    for trouble in emulator.log("trouble"):
        yield f"the emulator failed: {trouble['error']}"


def main() -> int:
    """0 if every rule held."""
    parser = argparse.ArgumentParser(prog="python -m tests.proof.providers")
    parser.add_argument("name", choices=tuple(HOSTS))
    parser.add_argument("--tasks", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--share", type=float, default=0.15, help="of what goes wrong")
    parser.add_argument("--kills", type=int, default=None, help="one in 100 tasks by default")
    parser.add_argument("--keep", type=Path, help="a folder for logs, kept also when all is well")
    given = parser.parse_args()
    kills = max(1, given.tasks // 100) if given.kills is None else given.kills
    plan = Plan(name=given.name, tasks=given.tasks, seed=given.seed, share=given.share, kills=kills)
    folder = given.keep or Path(tempfile.mkdtemp(prefix="safelight-providers-"))
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{plan.name}: seed {plan.seed}, in {folder}", flush=True)
    figures, broken = prove(plan, folder, lambda text: print(text, flush=True))
    for line in broken:
        print(line)
    print(f"{plan.name}: {figures}; {len(broken)} rules broken")
    if not broken and given.keep is None:
        shutil.rmtree(folder)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
