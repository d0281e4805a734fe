"""`safelight run --input` and `--kind` against a real server: what a task starts from, and
what it is when nobody says so."""

from __future__ import annotations

import io
import json
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx2
import pytest

from safelight.cli import main
from safelight.cli.world import World
from safelight.providers.scripted import PIXEL
from tests.doubles.process import ServerProcess, server_process

IMAGE = ["--model", "scripted/image"]

FROM_A_PICTURE = """
[[models]]
name = "mine/swing"
label = "Begins with a picture"
kind = "video"
provider = "scripted"
schema = "scripted"
order = 99
min_inputs = 1
price = { rates = {} }
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("inputs")
    own = folder / "own.toml"
    own.write_text(FROM_A_PICTURE)
    settings = {"local_pace_seconds": 0, "max_upload_bytes": 4096, "models_file": own}
    with server_process(folder / "data", scripted=True, **settings) as running:
        yield running


class Ran:
    """One command: its exit code, what it said, and the task that it made, if any."""

    def __init__(self, url: str, *argv: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        self.code = main(argv, World({"SAFELIGHT_URL": url}, out, err, lambda: 1_800_000_000.0))
        self.out, self.err = out.getvalue(), err.getvalue()
        ids = [line.split()[1] for line in self.err.splitlines() if line.startswith("task ")]
        self.task: dict[str, Any] = {}
        if ids:
            asked = httpx2.get(f"{url}/api/tasks/{ids[0]}", trust_env=False)
            self.task = asked.json()["data"]


def tasks(server: ServerProcess) -> int:
    """How many tasks there are."""
    return len(httpx2.get(f"{server.url}/api/tasks?limit=200").json()["data"]["tasks"])


@pytest.fixture
def still(tmp_path: Path) -> Path:
    path = tmp_path / "still.png"
    path.write_bytes(PIXEL)
    return path


def test_a_file_is_uploaded(server: ServerProcess, tmp_path: Path, still: Path) -> None:
    """A file of this machine is sent, told with what it is, and what the task starts from."""
    kept = ["-o", str(tmp_path / "made.png")]
    ran = Ran(server.url, "run", "at night", *IMAGE, *kept, "--input", str(still))
    assert ran.code == 0
    [given] = ran.task["input_data"]["inputs"]
    assert f"upload {given['upload']}: {still} (image/png, 1x1, {len(PIXEL)} bytes)" in ran.err
    shown = httpx2.get(f"{server.url}/api/uploads/{given['upload']}")
    assert shown.content == PIXEL


def test_a_task_is_named_and_inputs_keep_their_order(
    server: ServerProcess, tmp_path: Path, still: Path
) -> None:
    """`task:ID` chains, and several inputs go in the order in which they were given."""
    first = Ran(server.url, "run", "x", *IMAGE, "-o", str(tmp_path / "a.png"))
    id = first.task["task_id"]
    artifact = first.task["artifacts"][0]["id"]
    given = ["--input", f"task:{id}", "--input", str(still), "--input", f"artifact:{artifact}"]
    ran = Ran(server.url, "run", "y", *IMAGE, *given, "-o", str(tmp_path / "b.png"))
    assert ran.code == 0
    inputs = ran.task["input_data"]["inputs"]
    assert (inputs[0], inputs[2]) == ({"task": id}, {"artifact": artifact})
    assert list(inputs[1]) == ["upload"]


def test_a_pipe_or_a_device_is_no_file(server: ServerProcess, tmp_path: Path) -> None:
    """What has no size and may never end is refused before anything is waited for or sent."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for odd in (str(pipe), "/dev/zero"):
        ran = Ran(server.url, "run", "x", *IMAGE, "--input", odd)
        assert ran.code == 2 and "it is a pipe or a device" in ran.err


class _Shelf(BaseHTTPRequestHandler):
    """A picture at one address, a way to it at another, and nothing elsewhere."""

    def do_GET(self) -> None:
        """Whatever the path says."""
        if self.path == "/moved":
            self.send_response(302)
            self.send_header("Location", "/still.png")
            self.end_headers()
            return
        body = PIXEL if self.path == "/still.png" else b""
        self.send_response(200 if body else 404)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Not on the screen."""


@contextmanager
def shelf() -> Iterator[str]:
    """The address of a server of files on this machine."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Shelf) as there:
        serving = threading.Thread(target=there.serve_forever, daemon=True)
        serving.start()
        try:
            yield f"http://127.0.0.1:{there.server_port}"
        finally:
            there.shutdown()
            serving.join()


def test_a_file_at_an_address_is_fetched_here_and_uploaded(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Also behind a redirect; what is not there is told, with the answer there was."""
    kept = ["-o", str(tmp_path / "made.png")]
    with shelf() as there:
        ran = Ran(server.url, "run", "x", *IMAGE, *kept, "--input", f"{there}/moved")
        missing = Ran(server.url, "run", "x", *IMAGE, "--input", f"{there}/nowhere.png")
    assert ran.code == 0 and list(ran.task["input_data"]["inputs"][0]) == ["upload"]
    assert missing.code == 2 and missing.task == {}
    assert f"found '{there}/nowhere.png', which cannot be taken: it answers 404" in missing.err


@pytest.mark.parametrize(
    ("given", "why"),
    [
        ("nowhere.png", "no such file or directory"),
        (".", "is a directory"),
        ("empty.png", "it is empty"),
        ("ftp://me.example/a.png", "its scheme is not taken"),
        ("task:", "no such file or directory"),
    ],
)
def test_what_cannot_be_taken_is_told_before_any_server_is_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, why: str
) -> None:
    """The file, what was found and what is taken, in one line, with exit code 2."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.png").touch()
    ran = Ran("http://127.0.0.1:9", "run", "x", "--input", given)
    assert ran.code == 2
    assert f"--input: found '{given}', which cannot be taken: {why}" in ran.err
    assert "a file of this machine, an http or https address, task:ID" in ran.err
    assert len(ran.err.splitlines()) == 1


def test_what_the_server_does_not_take_is_told_by_its_file(
    server: ServerProcess, tmp_path: Path
) -> None:
    """A file that is no picture, or too large, is named with the server's words; no task is
    made."""
    before = tasks(server)
    words, large = tmp_path / "words.txt", tmp_path / "large.png"
    words.write_text("no picture")
    large.write_bytes(PIXEL + bytes(5000))
    wrong = Ran(server.url, "run", "x", *IMAGE, "--input", str(words))
    assert (
        wrong.code == 1 and f"--input {words}: " in wrong.err and "none of the known" in wrong.err
    )
    big = Ran(server.url, "run", "x", *IMAGE, "--input", str(large))
    assert big.code == 1 and f"--input {large}: " in big.err
    assert "found 5070 bytes, expected 4096 bytes or less" in big.err
    nobody = Ran(server.url, "run", "x", *IMAGE, "--input", "task:nobody")
    assert nobody.code == 1 and "inputs.0: task nobody is not here" in nobody.err
    assert tasks(server) == before


def test_a_model_that_begins_with_a_picture_says_how(server: ServerProcess) -> None:
    """Its refusal names the option that the field stands for."""
    ran = Ran(server.url, "quote", "x", "--model", "mine/swing")
    assert ran.code == 1 and "Say what it starts from with --input" in ran.err


def test_a_name_that_does_not_fit_is_told(server: ServerProcess, tmp_path: Path) -> None:
    """A file is kept under the name that was asked for, and what it really is is told."""
    ran = Ran(server.url, "run", "x", *IMAGE, "-o", str(tmp_path / "a.mp4"))
    assert ran.code == 0 and "note: a.mp4 is image/png, whatever its name" in ran.err
    fits = Ran(server.url, "run", "x", *IMAGE, "-o", str(tmp_path / "a.png"))
    assert "note:" not in fits.err


def test_a_quote_takes_inputs_too(server: ServerProcess, still: Path) -> None:
    """What is asked about is the whole request."""
    ran = Ran(server.url, "quote", "x", *IMAGE, "--input", str(still))
    assert ran.code == 0 and "upload " in ran.err


@pytest.mark.parametrize(
    ("model", "kind"),
    [("scripted/video", "video"), ("scripted/text", "text"), ("scripted/image", "image")],
)
def test_the_kind_follows_the_model(
    server: ServerProcess, tmp_path: Path, model: str, kind: str
) -> None:
    """Without --kind a model is asked for what it makes."""
    script = json.dumps([{"do": "text", "delta": "x"} if kind == "text" else {"do": "image"}])
    made = ["-o", str(tmp_path / "made"), "--param", f"script={script}"]
    ran = Ran(server.url, "run", "x", "--model", model, *made)
    assert (ran.code, ran.task["kind"]) == (0, kind)


def test_the_kind_follows_another_name_of_the_model(server: ServerProcess) -> None:
    """An alias is as good; a name that is none is answered with what is near it."""
    quoted = Ran(server.url, "quote", "x", "--model", "prose")
    assert (quoted.code, quoted.out.splitlines()[0]) == (0, "local/prose: free")
    wrong = Ran(server.url, "quote", "x", "--model", "local/pros")
    assert wrong.code == 1 and "local/prose" in wrong.err


def test_a_kind_that_is_given_is_kept(server: ServerProcess) -> None:
    """The server says that this model does not make it."""
    ran = Ran(server.url, "run", "x", "--kind", "video", *IMAGE)
    assert ran.code == 1 and "scripted/image" in ran.err


def test_without_a_model_it_is_an_image(server: ServerProcess) -> None:
    """As it always was."""
    ran = Ran(server.url, "quote", "x")
    assert ran.code == 0 and ran.out.startswith("local/paint: ")
