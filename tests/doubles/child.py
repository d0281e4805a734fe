"""The real server as a process that a test can stop at a point, or plant a bug into.

    python -m tests.doubles.child --data-dir D --port P --remote URL
        [--billed] [--lost-on-restart] [--start-seconds S] [--points FD] [--bug NAME]

The real `serve`, store, sockets and settings (from the environment, as always); only the
provider named `scripted` is replaced, by one whose predictions run at `--remote` and so
survive this process. Start it with `child_process`, which is the parent's end of all this.
"""

from __future__ import annotations

import argparse
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from starlette.applications import Starlette

from safelight.app import create_app
from safelight.backends import Rhythm
from safelight.configured import backends_of, providers_of
from safelight.providers.comfyui import Timings
from safelight.serve import serve
from safelight.settings import Settings, load
from safelight.store import open_store
from safelight.subscriptions import Subscriptions
from tests.doubles.bugs import BUGS, LateSubscriptions, acknowledging_early, forget_last_events
from tests.doubles.points import Points, PointsEnd
from tests.doubles.process import ServerProcess, started
from tests.doubles.remote_provider import RemoteProvider

ROOT = Path(__file__).parents[2]
HASTY = Timings(settle=0.3, poll=0.1, poll_most=0.5, again=0.3, reopen=0.05, unreachable=0.3)


class Child(ServerProcess):
    """The process, and `points`, where it can be made to stop.

    After its end `points` is another one, with nothing armed; it may be armed, and `bug`
    and `flags` changed, before the next start.
    """

    def __init__(self, data_dir: Path, remote_url: str, **settings: object) -> None:
        self.flags: list[str] = []
        self.bug: str | None = None
        self.remote_url = remote_url
        self.points = PointsEnd()
        super().__init__(data_dir, **settings)

    def command(self) -> list[str]:
        """Our own module instead of the product's."""
        command = ["-m", "tests.doubles.child", "--remote", self.remote_url, *self.flags]
        command += ["--points", str(self.points.theirs.fileno())]
        return command if self.bug is None else [*command, "--bug", self.bug]

    def inherited(self) -> tuple[int, ...]:
        """The socket of the points."""
        return (self.points.theirs.fileno(),)

    def environment(self) -> dict[str, str]:
        """Where `tests` is found."""
        inherited = super().environment()
        paths = [str(ROOT), *filter(None, [inherited.get("PYTHONPATH")])]
        return inherited | {"PYTHONPATH": os.pathsep.join(paths)}

    def _end(self, by: signal.Signals) -> int:
        """What it was told and did not hear is not for the next process."""
        try:
            return super()._end(by)
        finally:
            self.points.close()
            self.points = PointsEnd()


@contextmanager
def child_process(
    data_dir: Path,
    remote_url: str,
    *,
    billed: bool = False,
    resumable: bool = True,
    start_seconds: float = 5.0,
    bug: str | None = None,
    hasty: bool = False,
    **settings: object,
) -> Iterator[Child]:
    """A child that listens; ended at exit, with its errors printed if the test failed. One
    that is `hasty` waits shorter for its backends than the product does."""
    child = Child(data_dir, remote_url, **settings)
    child.bug = bug
    child.flags = ["--start-seconds", str(start_seconds)]
    child.flags += ["--billed"] if billed else []
    child.flags += [] if resumable else ["--lost-on-restart"]
    child.flags += ["--hasty"] if hasty else []
    try:
        with started(child):
            yield child
    finally:
        child.points.close()


def main() -> None:
    """Serve as the arguments say."""
    given = _arguments()
    settings = load(None, os.environ, {"port": given.port, "data_dir": given.data_dir}).settings
    points = Points(given.points)
    if given.bug == "reuse-seq":
        forget_last_events(Path(settings.data_dir))
    serve(settings, _say, lambda settings: _build(settings, given, points))


def _build(settings: Settings, given: argparse.Namespace, points: Points) -> Starlette:
    remote = RemoteProvider(
        given.remote,
        billed=given.billed,
        resumable=not given.lost_on_restart,
        seconds=given.start_seconds,
    )
    opened: Any = open_store
    if given.bug == "acknowledge-before-commit":
        opened = acknowledging_early(opened)
    late = given.bug == "subscribe-after-read"
    followers = LateSubscriptions if late else Subscriptions
    backends = backends_of(settings, HASTY if given.hasty else None)
    providers = providers_of(settings, backends) | {"scripted": remote}
    return create_app(
        settings,
        {name: points.provider(provider) for name, provider in providers.items()},
        points.opened(opened),
        lambda: points.subscriptions(followers()),
        backends,
        Rhythm(first_seconds=0.1) if given.hasty else None,
    )


def _say(line: str) -> None:
    print(line, flush=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--port")
    parser.add_argument("--remote", required=True)
    parser.add_argument("--billed", action="store_true")
    parser.add_argument("--lost-on-restart", action="store_true")
    parser.add_argument("--hasty", action="store_true")
    parser.add_argument("--start-seconds", type=float, default=5.0)
    parser.add_argument("--points", type=int)
    parser.add_argument("--bug", choices=BUGS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
