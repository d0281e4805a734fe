"""The real server as a child process: started, stopped, killed, started again.

Every wait is bounded, and what the process wrote to standard error is printed when a
test fails. Settings are given as keywords and travel as environment variables. After
the first start the port stays the same, so that clients come back to it by themselves.
The calls block; in an async test run them in a thread (`anyio.to_thread.run_sync`).

    with server_process(tmp_path / "data", scripted=True) as server:
        httpx2.get(server.url + "/healthz")
        server.kill()
        server.start()
"""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeVar

START_SECONDS = 30.0
STOP_SECONDS = 20.0
GREETING = "listening on "


class ServerFailed(Exception):
    """The process ended, or said nothing, when it should have listened."""


class ServerProcess:
    """One data directory and the process that serves it. `url` is there once it listens."""

    def __init__(self, data_dir: Path, **settings: object) -> None:
        self.data_dir = data_dir
        self.url = ""
        self.said: list[str] = []
        self._port = 0
        self._settings = {f"SAFELIGHT_{name.upper()}": str(v) for name, v in settings.items()}
        self._folder = data_dir.parent
        self._stderr = self._folder / f"{data_dir.name}.stderr"
        self._child: subprocess.Popen[str] | None = None
        self._lines: queue.Queue[str | None] = queue.Queue()

    @property
    def pid(self) -> int:
        """The process id of the server that runs."""
        return self._running().pid

    @property
    def has_died(self) -> bool:
        """Whether the server that was started has ended by itself."""
        return self._running().poll() is not None

    def wait_died(self) -> None:
        """Wait until it has ended by itself. Raises ServerFailed if it does not."""
        try:
            self._running().wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            raise ServerFailed(f"it did not end within {STOP_SECONDS} s") from None

    def start(self) -> None:
        """Start it and wait until it listens. Raises ServerFailed with what it wrote."""
        assert self._child is None, "it runs already"
        self._folder.mkdir(parents=True, exist_ok=True)
        self._child = self._spawn()
        self._lines = queue.Queue()
        assert self._child.stdout is not None
        read = (self._child.stdout, self._lines)
        reader = threading.Thread(target=_drain, args=read, daemon=True)
        reader.start()
        self.said = []
        self.url = self.wait_for_greeting().removeprefix(GREETING)
        self._port = int(self.url.rpartition(":")[2])

    def stop(self) -> int:
        """End it by SIGTERM and return its exit code."""
        return self._end(signal.SIGTERM)

    def interrupt(self) -> int:
        """End it by SIGINT, as Ctrl-C does, and return its exit code."""
        return self._end(signal.SIGINT)

    def kill(self) -> None:
        """End it by SIGKILL: nothing of it gets to run any more."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Stop it and start it again on the same data and port."""
        self.stop()
        self.start()

    def stderr(self) -> str:
        """What all processes on this data directory wrote to standard error so far."""
        return self._stderr.read_text(errors="replace") if self._stderr.exists() else ""

    def close(self) -> None:
        """End whatever still runs; does nothing when nothing does."""
        if self._child is not None:
            self.kill()

    def _running(self) -> subprocess.Popen[str]:
        assert self._child is not None, "it does not run"
        return self._child

    def command(self) -> list[str]:
        """What Python runs; port and data directory are added. A double has its own."""
        return ["-m", "safelight", "serve"]

    def place(self) -> list[str]:
        """Where it keeps its files, as options."""
        return ["--data-dir", str(self.data_dir)]

    def environment(self) -> dict[str, str]:
        """The variables it is started with."""
        return clean_environment() | self._settings

    def inherited(self) -> tuple[int, ...]:
        """The file descriptors that it gets from us."""
        return ()

    def _spawn(self) -> subprocess.Popen[str]:
        command = [sys.executable, *self.command(), "--port", str(self._port), *self.place()]
        with self._stderr.open("a") as errors:
            return subprocess.Popen(
                command,
                cwd=self._folder,
                env=self.environment(),
                pass_fds=self.inherited(),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    def wait_for_greeting(self) -> str:
        """The next line in which it says where it listens: a process that becomes another by
        itself says so again. Raises ServerFailed with what it wrote."""
        while True:
            try:
                line = self._lines.get(timeout=START_SECONDS)
            except queue.Empty:
                line = None
            if line is None:
                self.close()
                raise ServerFailed(f"it never listened; it wrote:\n{self.stderr()}")
            self.said.append(line)
            if line.startswith(GREETING):
                return line

    def _end(self, by: signal.Signals) -> int:
        child, self._child = self._running(), None
        child.send_signal(by)
        try:
            return child.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(STOP_SECONDS)
            raise ServerFailed(f"{by.name} did not end it within {STOP_SECONDS} s") from None
        finally:
            if child.stdout is not None:
                child.stdout.close()


@contextmanager
def server_process(data_dir: Path, **settings: object) -> Iterator[ServerProcess]:
    """A server that listens; ended at exit, with its errors printed if the test failed."""
    with started(ServerProcess(data_dir, **settings)) as server:
        yield server


Process = TypeVar("Process", bound=ServerProcess)


@contextmanager
def started(server: Process) -> Iterator[Process]:
    """Start it; ended at exit, with its errors printed if the test failed."""
    server.start()
    try:
        yield server
    except BaseException:
        print(f"standard error of the server:\n{server.stderr()}", file=sys.stderr)
        raise
    finally:
        server.close()


@contextmanager
def interruptible() -> Iterator[None]:
    """Whoever is started in here may be interrupted, also where a shell has started us in the
    background: then SIGINT is ignored by us, and by all that we start."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def clean_environment() -> dict[str, str]:
    """Our environment without settings that somebody has for a server of their own."""
    return {name: value for name, value in os.environ.items() if not name.startswith("SAFELIGHT_")}


def _drain(stdout: IO[str], lines: queue.Queue[str | None]) -> None:
    """Read to the end, so that the child never waits for us; None is the end."""
    try:
        for line in stdout:
            lines.put(line.rstrip("\n"))
    except ValueError:
        pass  # closed by `_end` while we were reading
    lines.put(None)
