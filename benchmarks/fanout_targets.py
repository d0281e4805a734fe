"""The servers that the fan-out benchmarks compare, and how each is started and ended.

Every target takes a port and serves followers of up to MOST_TOPICS topics in one of the
dialects of c/load.c. What a target needs beyond our own environment is installed below
`.venv-peers`; one that cannot be installed stays in the list, with the reason, so that
no table drops it in silence. Knows nothing of what is measured.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import msgspec

from benchmarks import machine

HERE = Path(__file__).parent
NODE = machine.PEERS / "node"
MOST_TOPICS = 1000
EVENT_BYTES = 248
"""As long as a `progress` frame of ours with a seq of four digits (see peers/event.py)."""

INSTALL_SECONDS = 300
END_SECONDS = 5


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """One server. `command` is run with a port put where `{port}` stands and a new folder
    for `{folder}`. `missing` says why there is none."""

    name: str
    dialect: str
    command: tuple[str, ...] = ()
    environment: dict[str, str] = {}
    token: str = ""
    missing: str = ""


OURS, STOCK, NAIVE, WS, CEILING = (
    "safelight",
    "safelight on stock uvicorn",
    "Starlette, naive",
    "Node ws",
    "C, one send() a frame",
)


def targets() -> list[Target]:
    """Every target, ours first, the ceiling last; installs and builds what they need."""
    return [
        _ours(OURS),
        _ours(STOCK, "stock"),
        _python(NAIVE, "raw", Path(sys.executable), "naive.py"),
        _python("websockets broadcast", "raw", Path(sys.executable), "broadcast.py"),
        _node(WS, "raw", "ws.cjs"),
        _node("Socket.IO", "socketio", "socketio.cjs"),
        _python_socketio(),
        _ceiling(),
    ]


def only(words: str) -> list[Target]:
    """The targets whose names have one of these words, with commas between; "" is all."""
    wanted = [word.lower() for word in words.split(",") if word]
    found = targets()
    return [one for one in found if not wanted or any(w in one.name.lower() for w in wanted)]


def versions() -> dict[str, str]:
    """The versions of what is not in our own environment."""
    found = machine.peer_versions("python-socketio")
    for name in ("ws", "socket.io"):
        with suppress(OSError):
            package = NODE / "node_modules" / name / "package.json"
            found[name] = json.loads(package.read_text())["version"]
    node = shutil.which("node")
    if node is not None:
        told = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=30)
        found["node"] = told.stdout.strip().removeprefix("v")
    return found


class NotStarted(Exception):
    """A server that ended, or did not listen; what it said is on standard error."""


@contextmanager
def running(target: Target) -> Iterator[Running]:
    """The target on a core of its own, ready for the generator; killed at the end if it
    does not go. Raises NotStarted."""
    port = machine.free_port()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as said:
        command = [word.format(port=port, folder=folder) for word in target.command]
        child = subprocess.Popen(
            command,
            env={k: v for k, v in os.environ.items() if not k.startswith("SAFELIGHT_")}
            | target.environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
            stderr=said,
            preexec_fn=many_files,
        )
        machine.pin(child.pid, machine.SERVER_CORE)
        prefer(child.pid)
        try:
            try:
                machine.wait_listening(port, child)
            except (RuntimeError, TimeoutError) as trouble:
                raise NotStarted(f"{target.name} did not start") from trouble
            yield Running(target, child.pid, port)
        except BaseException:
            said.seek(0)
            sys.stderr.write(said.read()[-2000:].decode(errors="replace"))
            raise
        finally:
            _end(child)


class Running(msgspec.Struct, frozen=True):
    """A target that listens."""

    target: Target
    pid: int
    port: int


def many_files() -> None:
    """As many open files as the system allows this process."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def prefer(pid: int) -> None:
    """Before other work of the machine, where that is allowed."""
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, pid, -10)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.send_signal(signal.SIGINT)
    try:
        child.wait(END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _ours(name: str, *more: str) -> Target:
    product = (sys.executable, str(HERE / "product.py"), "{port}", str(MOST_TOPICS))
    command = (*product, "{folder}/data", *more)
    return Target(name=name, dialect="phoenix", command=command, token="bench-token")


def _python(name: str, dialect: str, python: Path, script: str) -> Target:
    command = (str(python), str(HERE / "peers" / script), "{port}")
    return Target(name=name, dialect=dialect, command=command)


def _python_socketio() -> Target:
    name = "python-socketio"
    python = machine.peers_python()
    if python is None or not machine.peer_versions(name):
        return Target(name=name, dialect="socketio", missing="it could not be installed")
    return _python(name, "socketio", python, "rooms.py")


def _node(name: str, dialect: str, script: str) -> Target:
    trouble = _install_node()
    if trouble:
        return Target(name=name, dialect=dialect, missing=trouble)
    command = (shutil.which("node") or "", str(HERE / "peers" / script), "{port}")
    environment = {"NODE_PATH": str(NODE / "node_modules"), "NODE_ENV": "production"}
    return Target(name=name, dialect=dialect, command=command, environment=environment)


def _install_node() -> str:
    """Install what package.json pins; why that is not possible, or nothing."""
    npm, wanted = shutil.which("npm"), (HERE / "peers" / "package.json").read_bytes()
    if npm is None or shutil.which("node") is None:
        return "there is no Node here"
    stamp = NODE / "made-from"
    if stamp.exists() and stamp.read_bytes() == wanted:
        return ""
    NODE.mkdir(parents=True, exist_ok=True)
    (NODE / "package.json").write_bytes(wanted)
    print("installing the peers on Node below .venv-peers, once", flush=True)
    command = [npm, "install", "--no-audit", "--no-fund", "--no-progress", "--silent"]
    try:
        subprocess.run(command, cwd=NODE, check=True, timeout=INSTALL_SECONDS)
    except (OSError, subprocess.SubprocessError) as trouble:
        return f"npm could not install it ({type(trouble).__name__})"
    stamp.write_bytes(wanted)
    return ""


def _ceiling() -> Target:
    built = machine.build("ceiling.c")
    if built is None:
        return Target(name=CEILING, dialect="raw", missing="there is no C compiler here")
    command = (str(built), "{port}", str(EVENT_BYTES))
    return Target(name=CEILING, dialect="raw", command=command)
