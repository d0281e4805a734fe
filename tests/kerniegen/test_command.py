"""`safelight kerniegen` as somebody meets it who has never seen it."""

from __future__ import annotations

import asyncio
import io
import signal
import socket
import tomllib
from pathlib import Path

import httpx2
import pytest

from safelight.cli import main
from safelight.cli.world import World
from safelight.kerniegen.serve import greeting
from safelight.kerniegen.studio import Visits
from safelight.settings import load
from tests.doubles.kernie import kerniegen
from tests.kerniegen.asker import asker
from tests.kerniegen.graphs import txt2img


async def test_who_waits_for_a_request_is_answered_when_it_comes() -> None:
    """To a path that begins so; whoever comes later hears at once how many have."""
    visits = Visits()
    waiting = asyncio.create_task(visits.wait_asked("/view"))
    visits.note("/queue")
    for _ in range(10):
        await asyncio.sleep(0)
    assert not waiting.done()
    visits.note("/view")
    assert await waiting == 1
    visits.note("/view")
    assert await visits.wait_asked("/v") == 2


def test_what_it_says_first_can_be_put_into_the_settings(tmp_path: Path) -> None:
    """The lines after the address are a backend that Safelight takes as they stand."""
    said = greeting("http://127.0.0.1:8189")
    file = tmp_path / "safelight.toml"
    file.write_text("\n".join(said[2:]))
    assert tomllib.loads(file.read_text())
    assert load(str(file), {}, {}).settings.backends["kerniegen"].url == "http://127.0.0.1:8189"


def test_a_port_that_is_taken_is_told_in_one_line(tmp_path: Path) -> None:
    """Exit code 1 and the address, no traceback."""
    err = io.StringIO()
    with socket.create_server(("127.0.0.1", 0)) as busy:
        port = str(busy.getsockname()[1])
        words = ["kerniegen", "--port", port, "--data-dir", str(tmp_path)]
        code = main(words, World({}, io.StringIO(), err, float))
    assert code == 1
    assert err.getvalue().count("\n") == 1 and f"127.0.0.1:{port}" in err.getvalue()


def test_its_options_decide_what_it_offers(tmp_path: Path) -> None:
    """Checkpoints, LoRAs, release and previews are those of the command line."""
    options = {"checkpoint": ["a.safetensors", "b.safetensors"], "lora": "", "previews": "none"}
    with kerniegen(tmp_path / "kernie", version="0.3.64", **options) as kernie:
        with httpx2.Client(base_url=kernie.url) as http:
            assert http.get("/models/checkpoints").json() == options["checkpoint"]
            assert http.get("/models/loras").json() == []
            assert http.get("/system_stats").json()["system"]["comfyui_version"] == "0.3.64"
        with asker(kernie.url) as client:
            client.run(txt2img("b.safetensors"))
            assert client.binary == []


def test_files_outlive_it_and_the_temporary_ones_do_not(tmp_path: Path) -> None:
    """After a kill and a start, outputs are there, `temp` is empty, and counting goes on."""
    graph = txt2img()
    graph["10"] = {"class_type": "PreviewImage", "inputs": {"images": ["8", 0]}}
    with kerniegen(tmp_path / "kernie") as kernie:
        with asker(kernie.url) as client:
            client.run(graph)
        assert list((kernie.data_dir / "temp").iterdir())
        kernie.kill()
        kernie.start()
        assert list((kernie.data_dir / "temp").iterdir()) == []
        with asker(kernie.url) as client:
            [file] = client.run(graph)["outputs"]["9"]["images"]
    assert file["filename"] == "test_00002_.png"


@pytest.mark.parametrize("path", ["/nothing", "/api/nothing", "/queue/extra"])
def test_an_unknown_path_is_an_empty_404(tmp_path: Path, path: str) -> None:
    """As the real one's folder of static files answers."""
    with kerniegen(tmp_path / "kernie") as kernie:
        answer = httpx2.get(kernie.url + path)
    assert (answer.status_code, answer.content) == (404, b"")


def test_a_signal_ends_it_without_a_word(tmp_path: Path) -> None:
    """Ctrl-C and SIGTERM are no errors: nothing is printed for them."""
    with kerniegen(tmp_path / "kernie") as kernie:
        assert kernie.interrupt() in (0, -signal.SIGINT)
        kernie.start()
        assert kernie.stop() in (0, -signal.SIGTERM)
        assert "Traceback" not in kernie.stderr()
