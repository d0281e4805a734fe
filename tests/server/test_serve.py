"""The server process: what it says when it starts, why it does not, and how it ends."""

from __future__ import annotations

import asyncio
import io
import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import anyio
import httpx2
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from safelight.cli import main
from safelight.cli.world import World
from safelight.serve import CannotServe, address_of, bind, greeting
from safelight.settings import Settings
from tests.doubles.process import ServerProcess, server_process

WAIT_SECONDS = 20.0
DRAIN_SECONDS = 1.0


@pytest.fixture
def server(tmp_path: Path) -> Iterator[ServerProcess]:
    with server_process(tmp_path / "data", scripted=True, drain_seconds=DRAIN_SECONDS) as running:
        yield running


def refused(*options: str, **environ: str) -> tuple[int, str]:
    """Exit code and words of a server that cannot start."""
    out, err = io.StringIO(), io.StringIO()
    code = main(["serve", *options], World(environ, out, err, lambda: 0.0))
    assert out.getvalue() == ""
    return code, err.getvalue()


async def hanging_task(url: str) -> str:
    """The id of a new task that never ends."""
    body = {
        "kind": "image",
        "prompt": "x",
        "model": "scripted/image",
        "params": {"script": [{"do": "progress", "to": 0.5}, {"do": "hang"}]},
    }
    async with httpx2.AsyncClient(trust_env=False) as http:
        answer = await http.post(f"{url}/api/tasks", json=body)
    task_id: str = answer.json()["data"]["task_id"]
    return task_id


def test_it_listens_before_it_says_so(server: ServerProcess) -> None:
    """The line is exact and first, the port is the one that was found, and it answers."""
    assert server.said == [f"listening on {server.url}"]
    assert server.url.startswith("http://127.0.0.1:")
    answer = httpx2.get(f"{server.url}/readyz", trust_env=False)
    assert (answer.status_code, "server" in answer.headers) == (200, False)


@pytest.mark.parametrize("end", [ServerProcess.stop, ServerProcess.interrupt])
def test_a_signal_is_no_failure(server: ServerProcess, end: object) -> None:
    """SIGTERM and SIGINT end it with exit code 0."""
    assert callable(end)
    assert end(server) == 0


@pytest.mark.slow
def test_it_comes_back_on_its_port(server: ServerProcess) -> None:
    """After a kill in the middle it starts again on the same data and port."""
    url = server.url
    server.kill()
    server.start()
    assert server.url == url
    assert server.stop() == 0


async def test_followers_are_sent_away(server: ServerProcess) -> None:
    """Open sockets are closed with 1012, streams end whole, and nobody holds the end up."""
    task_id = await hanging_task(server.url)
    socket_url = server.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
    async with (
        connect(socket_url, proxy=None) as follower,
        httpx2.AsyncClient(trust_env=False, timeout=WAIT_SECONDS) as http,
        http.stream("GET", f"{server.url}/api/tasks/{task_id}/events") as stream,
        asyncio.timeout(WAIT_SECONDS),
    ):
        await follower.send(json.dumps(["1", "1", f"task:{task_id}", "phx_join", {}]))
        await follower.recv()
        assert stream.status_code == 200
        stopping = asyncio.create_task(anyio.to_thread.run_sync(server.stop))
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                await follower.recv()
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        told = [line async for line in stream.aiter_lines()]
        assert any("progress" in line for line in told)
        assert await stopping == 0


async def test_an_oversized_frame_is_refused_in_words(server: ServerProcess) -> None:
    """A frame somewhat above the limit is closed with 1009 and a reason by us."""
    socket_url = server.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
    async with connect(socket_url, proxy=None) as follower, asyncio.timeout(WAIT_SECONDS):
        frame = ["1", "1", "phoenix", "heartbeat", {"x": "x" * Settings().max_frame_bytes}]
        await follower.send(json.dumps(frame))
        with pytest.raises(ConnectionClosed) as closed:
            await follower.recv()
    assert closed.value.rcvd is not None and closed.value.rcvd.code == 1009


def test_a_port_in_use_is_told(server: ServerProcess, tmp_path: Path) -> None:
    """The second server on a port says so in one line and touches no data."""
    port = server.url.rpartition(":")[2]
    code, told = refused("--port", port, "--data-dir", str(tmp_path / "other"))
    assert (code, told.count("\n")) == (1, 1)
    assert f"port {port} of 127.0.0.1 is in use" in told
    assert not (tmp_path / "other").exists()


def test_a_data_directory_in_use_is_told(server: ServerProcess) -> None:
    """The second server on a data directory names the process that has it."""
    code, told = refused("--port", "0", "--data-dir", str(server.data_dir))
    assert (code, told.count("\n")) == (1, 1)
    assert f"in use by process {server.pid}" in told


def test_a_database_of_a_later_version_is_told(tmp_path: Path) -> None:
    """It is not opened, and the way out is named."""
    database = sqlite3.connect(tmp_path / "safelight.sqlite3")
    database.execute("PRAGMA user_version=999")
    database.close()
    code, told = refused("--port", "0", "--data-dir", str(tmp_path))
    assert (code, told.count("\n")) == (1, 1)
    assert "schema 999" in told


def test_a_file_that_is_no_database_is_told(tmp_path: Path) -> None:
    """The data directory is named, with what is wrong in it."""
    (tmp_path / "safelight.sqlite3").write_bytes(b"no database at all, but long enough" * 40)
    code, told = refused("--port", "0", "--data-dir", str(tmp_path))
    assert (code, told.count("\n")) == (1, 1)
    assert "not a database" in told


def test_a_data_directory_that_is_a_file_is_told(tmp_path: Path) -> None:
    """A path that cannot be a folder is one line too."""
    (tmp_path / "data").write_text("")
    code, told = refused("--port", "0", "--data-dir", str(tmp_path / "data"))
    assert (code, told.count("\n")) == (1, 1)


@pytest.mark.parametrize(
    ("options", "environ", "told"),
    [
        (["--host", "0.0.0.0"], {}, "without tokens"),
        (["--port", "70000"], {}, "port: found"),
        (["--config", "nowhere.toml"], {}, "nowhere.toml"),
        ([], {"SAFELIGHT_PROT": "1"}, "SAFELIGHT_PORT?"),
    ],
)
def test_a_wrong_setting_is_told(options: list[str], environ: dict[str, str], told: str) -> None:
    """What cannot be served safely, or is misspelt, is exit code 2."""
    code, words = refused(*options, **environ)
    assert (code, words.count("\n")) == (2, 1)
    assert told in words


def test_a_host_that_is_nowhere_is_told() -> None:
    """A name that does not resolve, or an address of another machine, is refused."""
    with pytest.raises(CannotServe, match=r"host nowhere\.invalid"):
        bind("nowhere.invalid", 0)
    with pytest.raises(CannotServe, match=r"port 0 of 192\.0\.2\.1"):
        bind("192.0.2.1", 0)


def test_a_listener_answers_to_its_address() -> None:
    """Port 0 becomes the port that was found."""
    with bind("localhost", 0) as listener:
        port = listener.getsockname()[1]
        assert port > 0
        assert address_of(listener).endswith(f":{port}")
        with socket.create_connection(listener.getsockname()[:2], timeout=WAIT_SECONDS):
            pass


def test_the_greeting_names_addresses_that_work() -> None:
    """Every-interface addresses become this machine's, and tokens are asked for, not told."""
    lines = greeting("http://0.0.0.0:80", Settings(tokens={"s3cret": "ann"}))
    assert lines[:2] == ["listening on http://0.0.0.0:80", "Studio: http://127.0.0.1:80/"]
    assert "$SAFELIGHT_TOKEN" in lines[2] and "s3cret" not in lines[2]
    lines = greeting("http://[::]:80", Settings())
    assert lines[1] == "Studio: http://[::1]:80/"
    lines = greeting("http://127.0.0.1:80", Settings(public_url="https://a.example/paint/"))
    assert lines[1] == "Studio: https://a.example/paint/"
