"""`safelight cancel` against a real server, and what Ctrl-C of `run` says of it."""

from __future__ import annotations

import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx2
import pytest

from safelight.cli import main
from safelight.cli.world import World
from safelight_protocol.prices import in_dollars
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.process import ServerProcess, clean_environment, interruptible, server_process

WAIT_SECONDS = 30.0
SLOW = "black-forest-labs/flux-schnell"


@pytest.fixture(scope="module")
def replicate(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Emulated]:
    """A provider that takes minutes for each picture."""
    with emulated(tmp_path_factory.mktemp("cancel"), "replicate", pace=30) as running:
        yield running


@pytest.fixture(scope="module")
def server(
    tmp_path_factory: pytest.TempPathFactory, replicate: Emulated
) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("cancel")
    (folder / "safelight.toml").write_text(
        f'[providers.replicate]\nkey = "{replicate.key}"\nurl = "{replicate.url}/v1"\n'
    )
    with server_process(folder / "data", scripted=True, local_pace_seconds=0) as running:
        yield running


def said(server: ServerProcess, *argv: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    world = World({"SAFELIGHT_URL": server.url}, out, err, lambda: 1_800_000_000.0)
    return main(argv, world), out.getvalue(), err.getvalue()


@contextmanager
def commanded(*argv: str, url: str) -> Iterator[subprocess.Popen[str]]:
    """A command in a process of its own, which can be interrupted."""
    command = [sys.executable, "-m", "safelight", *argv]
    environ = clean_environment() | {"SAFELIGHT_URL": url}
    with (
        interruptible(),
        subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as child,
    ):
        try:
            yield child
        finally:
            child.kill()


def created(server: ServerProcess, **body: Any) -> str:
    """The id of a new task."""
    whole = {"kind": "image", "prompt": "a monk", "reuse": "never"} | body
    answer = httpx2.post(f"{server.url}/api/tasks", json=whole, trust_env=False)
    assert answer.is_success, answer.text
    id: str = answer.json()["data"]["task_id"]
    return id


def scripted(server: ServerProcess, *steps: dict[str, Any]) -> str:
    """The id of a new task that does these steps."""
    return created(server, model="scripted/image", params={"script": list(steps)})


def test_a_cancel_says_what_it_saved(server: ServerProcess) -> None:
    """A priced task that runs is ended; what it cost and what that saved are told."""
    id = created(server, model=SLOW, max_cost=1)
    with httpx2.stream("GET", f"{server.url}/api/tasks/{id}/events", timeout=WAIT_SECONDS) as told:
        next(line for line in told.iter_lines() if '"prediction_id"' in line)
    code, out, err = said(server, "cancel", id)
    assert (code, out) == (0, f"task {id} canceled\n")
    end = httpx2.get(f"{server.url}/api/tasks/{id}").json()["data"]
    assert end["saved_micros"] > 0
    saved = in_dollars(end["saved_micros"])
    assert err.splitlines()[-1] == f"saved: {saved} of what it could have cost"


def test_a_cancel_of_what_costs_nothing_says_no_more(server: ServerProcess) -> None:
    """Where there is no price there is nothing to be saved."""
    code, out, err = said(server, "cancel", id := scripted(server, {"do": "hang"}))
    assert (code, out) == (0, f"task {id} canceled\n")
    assert "saved" not in err and "free" not in err


def test_a_cancel_that_comes_too_late_says_so(server: ServerProcess) -> None:
    """A task that has ended is told as it ended, with exit code 1; one that was canceled
    before is canceled, again and again."""
    id = scripted(server, {"do": "image"})
    httpx2.get(f"{server.url}/api/tasks/{id}/events", timeout=WAIT_SECONDS)  # to its end
    code, out, err = said(server, "cancel", id)
    assert (code, out) == (1, "")
    assert err == f"safelight: task {id} had completed before a cancel could end it\n"
    id = scripted(server, {"do": "hang"})
    assert [said(server, "cancel", id)[0] for _ in range(2)] == [0, 0]


def test_a_cancel_of_nothing_is_refused(server: ServerProcess) -> None:
    """The server's word, and how to start a server where there is none."""
    code, _, err = said(server, "cancel", "nobody")
    assert code == 1 and "not_found" in err
    out, trouble = io.StringIO(), io.StringIO()
    world = World({"SAFELIGHT_URL": "http://127.0.0.1:9"}, out, trouble, lambda: 0.0)
    assert main(["cancel", "x"], world) == 1
    assert "no server answers" in trouble.getvalue()


def test_an_interrupt_before_the_cancel_was_asked_says_so() -> None:
    """Ctrl-C while no server has answered yet does not claim that anything was asked."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        silent.settimeout(WAIT_SECONDS)
        with commanded("cancel", "x", url=f"http://127.0.0.1:{silent.getsockname()[1]}") as child:
            asking, _ = silent.accept()
            with asking:
                assert asking.recv(4096)
                child.send_signal(signal.SIGINT)
                _, err = child.communicate(timeout=WAIT_SECONDS)
    assert child.returncode == 130
    assert "may not have heard" in err and "stays asked" not in err


def test_an_interrupt_says_how_to_cancel(server: ServerProcess) -> None:
    """The command that Ctrl-C names ends the task that goes on."""
    script = json.dumps([{"do": "hang"}])
    command = ["run", "x", "--model", "scripted/image", "--param", f"script={script}"]
    with commanded(*command, url=server.url) as child:
        assert child.stderr is not None
        while "processing" not in child.stderr.readline():
            pass
        child.send_signal(signal.SIGINT)
        _, err = child.communicate(timeout=WAIT_SECONDS)
    [line] = [line for line in err.splitlines() if line.startswith("Or end it with: ")]
    argv = line.removeprefix("Or end it with: safelight ").split()
    assert argv[0] == "cancel" and argv[2:] == ["--server", server.url]
    out, told = io.StringIO(), io.StringIO()
    assert main(argv, World({}, out, told, lambda: 0.0)) == 0
    assert out.getvalue() == f"task {argv[1]} canceled\n"
