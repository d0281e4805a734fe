"""The command line against a real server: what each command prints, keeps and returns."""

from __future__ import annotations

import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from safelight import __version__
from safelight.cli import main
from safelight.cli.world import World
from tests.doubles.process import ServerProcess, clean_environment, interruptible, server_process

WAIT_SECONDS = 30.0
NOW = 1_800_000_000.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    folder = tmp_path_factory.mktemp("cli")
    with server_process(folder / "data", scripted=True, local_pace_seconds=0) as running:
        yield running


class Said:
    """What one command said and returned."""

    def __init__(self, *argv: str, url: str = "", **environ: str) -> None:
        out, err = io.StringIO(), io.StringIO()
        world = World({"SAFELIGHT_URL": url} | environ, out, err, lambda: NOW)
        self.code = main(argv, world)
        self.out, self.err = out.getvalue(), err.getvalue()


def scripted(*steps: dict[str, Any], kind: str = "image") -> list[str]:
    """Options that make the scripted provider do these steps."""
    script = f"script={json.dumps(steps)}"
    return ["--kind", kind, "--model", f"scripted/{kind}", "--param", script]


def posted(server: ServerProcess, path: str, body: Any = None) -> Any:
    """`data` of a POST's answer."""
    answer = httpx2.post(server.url + path, json=body, trust_env=False)
    assert answer.is_success, answer.text
    return answer.json()["data"]


def created(server: ServerProcess, *steps: dict[str, Any]) -> str:
    """The id of a new task that does these steps."""
    params = {"script": list(steps)}
    body = {"kind": "image", "prompt": "a monk", "model": "scripted/image", "params": params}
    task_id: str = posted(server, "/api/tasks", body)["task_id"]
    return task_id


def test_run_paints_a_picture(server: ServerProcess, tmp_path: Path) -> None:
    """The file opens in the size that was asked for, and its path is the result."""
    path = tmp_path / "monk.png"
    asked = ["--size", "320x256", "--steps", "4", "--seed", "7", "-o", str(path)]
    said = Said("run", "a medieval monk", *asked, url=server.url)
    assert (said.code, said.out) == (0, f"{path}\n")
    with Image.open(path) as picture:
        picture.load()
        assert (picture.format, picture.size) == ("PNG", (320, 256))
    lines = said.err.splitlines()
    assert lines[0].startswith("task ")
    assert lines[-1] == "100%  completed"
    assert [file.name for file in tmp_path.iterdir()] == ["monk.png"]


def test_run_names_the_file_after_its_task(
    server: ServerProcess, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without -o the picture is kept here, under the id of its task."""
    monkeypatch.chdir(tmp_path)
    said = Said("run", "a monk", *scripted({"do": "image"}), url=server.url)
    task_id = said.err.split()[1]
    assert said.out == f"{task_id}.png\n"
    assert (tmp_path / f"{task_id}.png").exists()


def test_run_numbers_further_files(server: ServerProcess, tmp_path: Path) -> None:
    """Several artifacts of one task stand beside each other."""
    steps = scripted({"do": "image"}, {"do": "image"})
    said = Said("run", "two", *steps, "-o", str(tmp_path / "a.png"), url=server.url)
    assert said.out.splitlines() == [str(tmp_path / "a.png"), str(tmp_path / "a-2.png")]


def test_run_streams_text(server: ServerProcess) -> None:
    """A text goes to standard output, and nothing else does."""
    steps = scripted({"do": "text", "delta": "Once "}, {"do": "text", "delta": "upon"}, kind="text")
    said = Said("run", "a story", *steps, url=server.url)
    assert (said.code, said.out) == (0, "Once upon\n")


def test_run_begins_the_text_of_another_attempt_anew(server: ServerProcess) -> None:
    """What an attempt that failed has written is not taken for part of the next one."""
    steps = scripted(
        {"do": "text", "delta": "Onse", "attempt": 1},
        {"do": "fault", "after_seconds": 0.01, "attempt": 1},
        {"do": "text", "delta": "Once"},
        kind="text",
    )
    said = Said("run", "a story", *steps, url=server.url)
    assert (said.code, said.out.removeprefix("Onse")) == (0, "Once\n")


def test_run_keeps_text_in_a_file(server: ServerProcess, tmp_path: Path) -> None:
    """With -o the text is written there, whole."""
    path = tmp_path / "story.txt"
    steps = scripted({"do": "text", "delta": "Once"}, kind="text")
    said = Said("run", "a story", *steps, "-o", str(path), url=server.url)
    assert (said.code, said.out, path.read_text()) == (0, f"{path}\n", "Once")


def test_run_tells_why_it_failed(server: ServerProcess) -> None:
    """A task that fails is exit code 1 with the provider's reason and its code."""
    steps = scripted({"do": "never", "code": "invalid_input", "message": "no monks today"})
    said = Said("run", "a monk", *steps, url=server.url)
    assert said.code == 1
    assert said.err.splitlines()[-1].endswith("failed: no monks today (invalid_input)")


def test_run_tells_who_stood_in(server: ServerProcess) -> None:
    """A model that is not configured here is replaced, and the person is told."""
    model = ["--model", "gemini-2.5-flash-lite", "--kind", "text", "--param", "max_words=5"]
    said = Said("run", "a story", *model, url=server.url)
    assert (said.code, said.err.splitlines()[-1]) == (
        0,
        "local/prose stood in for gemini-2.5-flash-lite",
    )


def test_run_attaches(server: ServerProcess, tmp_path: Path) -> None:
    """--attach watches a task that is there, and keeps what it made."""
    task_id = created(server, {"do": "image"})
    path = tmp_path / "a.png"
    said = Said("run", "--attach", task_id, "-o", str(path), url=server.url)
    assert (said.code, path.exists()) == (0, True)


def test_run_tells_that_it_was_canceled(server: ServerProcess) -> None:
    """A task that somebody cancelled is exit code 1."""
    task_id = created(server, {"do": "hang"})
    posted(server, f"/api/tasks/{task_id}/cancel")
    said = Said("run", "--attach", task_id, url=server.url)
    assert (said.code, said.err.splitlines()[-1]) == (1, f"safelight: task {task_id} canceled")


def test_run_cannot_write(server: ServerProcess, tmp_path: Path) -> None:
    """A folder that is not there is told in one line."""
    path = tmp_path / "nowhere" / "a.png"
    said = Said("run", "x", *scripted({"do": "image"}), "-o", str(path), url=server.url)
    assert said.code == 1
    assert "cannot write the result" in said.err.splitlines()[-1]
    assert "nowhere" in said.err.splitlines()[-1]


def test_interrupting_leaves_the_task_alone(server: ServerProcess) -> None:
    """Ctrl-C ends the watching with 130 and says how to go on; the task runs."""
    command = [sys.executable, "-m", "safelight", "run", "x", *scripted({"do": "hang"})]
    environ = clean_environment() | {"SAFELIGHT_URL": server.url}
    with (
        interruptible(),
        subprocess.Popen(command, env=environ, stderr=subprocess.PIPE, text=True) as child,
    ):
        try:
            assert child.stderr is not None
            task_id = child.stderr.readline().split()[1]
            while "processing" not in child.stderr.readline():
                pass
            child.send_signal(signal.SIGINT)
            _, err = child.communicate(timeout=WAIT_SECONDS)
        finally:
            child.kill()
    assert child.returncode == 130
    assert f"safelight run --attach {task_id} --server {server.url}" in err
    assert "Traceback" not in err
    state = httpx2.get(f"{server.url}/api/tasks/{task_id}", trust_env=False).json()["data"]
    assert (state["status"], state["canceling"]) == ("processing", False)
    posted(server, f"/api/tasks/{task_id}/cancel")


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--model", "local/pain"], 'found "local/pain", expected one near it'),
        (["--seed", "-1"], "seed: found -1"),
        (["--size", "64x9999"], "params.height: found 9999"),
        (["--param", "stesp=3"], "params.stesp"),
    ],
)
def test_run_tells_what_the_server_refused(
    server: ServerProcess, options: list[str], told: str
) -> None:
    """Field, found and expected are the server's; the exit code is 1."""
    said = Said("run", "x", *options, url=server.url)
    assert said.code == 1
    assert told in said.err


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--size", "large"], "expected WxH"), (["--param", "steps"], "expected NAME=VALUE")],
)
def test_run_refuses_what_it_cannot_read(options: list[str], told: str) -> None:
    """An option without meaning is exit code 2, before any server is asked."""
    said = Said("run", "x", *options, url="http://127.0.0.1:9")
    assert (said.code, told in said.err) == (2, True)


@pytest.mark.parametrize("argv", [["run"], ["run", "x", "--attach", "y"], ["draw"], []])
def test_wrong_usage_is_told_by_the_parser(
    argv: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """The usage is printed and the exit code is 2."""
    with pytest.raises(SystemExit) as caught:
        main(argv)
    assert caught.value.code == 2
    assert "usage: safelight" in capsys.readouterr().err


def test_an_unknown_task_cannot_be_attached_to(server: ServerProcess) -> None:
    """The server's word reaches the person."""
    said = Said("run", "--attach", "nobody", url=server.url)
    assert (said.code, "not_found" in said.err) == (1, True)


def test_without_a_server_the_way_to_one_is_told() -> None:
    """One sentence names the address, another says how to start a server there."""
    said = Said("tasks", url="http://127.0.0.1:9")
    assert said.code == 1
    assert said.err.startswith("safelight: no server answers at http://127.0.0.1:9 (")
    assert "`safelight serve` (or `make serve`)" in said.err


def test_a_missing_token_is_told(tmp_path: Path) -> None:
    """Where tokens are needed, the answer says how to give one; with it all is well."""
    with server_process(tmp_path / "data", tokens="ann:s3cret") as server:
        refused = Said("models", url=server.url)
        assert (refused.code, "SAFELIGHT_TOKEN" in refused.err) == (1, True)
        assert Said("models", url=server.url, SAFELIGHT_TOKEN="s3cret").code == 0
        watched = Said("run", "x", "--kind", "text", "--token", "s3cret", url=server.url)
        assert watched.code == 0


def test_tasks_are_a_table(server: ServerProcess, tmp_path: Path) -> None:
    """Newest first, one line each, whatever is in the prompt."""
    kept = ["-o", str(tmp_path / "a.png")]
    Said("run", "two\nlines \x1b[2J and more", *scripted({"do": "image"}), *kept, url=server.url)
    task_id = created(server, {"do": "image"})
    said = Said("tasks", "--limit", "2", url=server.url)
    heads, first, second = said.out.splitlines()
    assert heads.split() == ["ID", "STATUS", "PROGRESS", "KIND", "MODEL", "AGE", "PROMPT"]
    assert first.startswith(task_id)
    assert second.endswith("two lines \N{REPLACEMENT CHARACTER}[2J and more")
    assert "see --limit" in said.err


def test_models_are_a_table(server: ServerProcess) -> None:
    """Each with its kind, its price and whether it can be used here."""
    said = Said("models", "--kind", "image", url=server.url)
    rows = {line.split()[0]: line.split()[1:6] for line in said.out.splitlines()}
    assert rows["local/paint"] == ["image", "local", "-", "free", "default"]
    assert rows["bytedance/seedream-3"][-1] == "no"
    assert rows["google/imagen-4-fast"][-1] in ("no", "retired")  # as the day may be
    assert "local/prose" not in rows


def test_a_model_tells_what_it_takes(server: ServerProcess) -> None:
    """With a name, its parameters are a table, or as JSON Schema; a name that is none is
    answered with those that are near."""
    said = Said("models", "local/paint", url=server.url)
    rows = {line.split()[0]: line.split() for line in said.out.splitlines()}
    assert rows["steps"][:4] == ["steps", "integer", "20", "1…100"]
    assert rows["aspect_ratio"][2] == '"1:1"'
    whole = Said("models", "comfyui/workflow", url=server.url)
    assert "required" in whole.out
    printed = json.loads(Said("models", "paint", "--json", url=server.url).out)
    assert (printed["x-model"], printed["type"]) == ("local/paint", "object")
    wrong = Said("models", "local/pain", url=server.url)
    assert wrong.code == 1
    assert "local/paint" in wrong.err


def test_settings_say_where_they_come_from(tmp_path: Path) -> None:
    """Sources and overrides are named; a token is counted, never shown."""
    file = tmp_path / "s.toml"
    file.write_text('port = 5000\n[tokens]\nann = "s3cret"\n')
    said = Said("settings", "--config", str(file), SAFELIGHT_PORT="6000")
    rows = {line.split()[0]: line.split()[1:] for line in said.out.splitlines()}
    assert rows["port"] == ["environment", "file", "6000"]
    assert rows["tokens"] == ["file", "-", "ann", "(1)"]
    assert rows["host"] == ["default", "-", '"127.0.0.1"']
    assert "s3cret" not in said.out + said.err


def test_a_wrong_setting_is_told() -> None:
    """A variable that cannot be is one line, with exit code 2."""
    said = Said("settings", SAFELIGHT_PORT="many")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("safelight: port: found")
    assert len(said.err.splitlines()) == 1


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    """--version prints the name and the version, and nothing else."""
    with pytest.raises(SystemExit) as caught:
        main(["--version"])
    assert (caught.value.code, capsys.readouterr().out) == (0, f"safelight {__version__}\n")


def copied_checkout(folder: Path) -> Path:
    """The documents and generated files of this checkout, in another place."""
    root = Path(__file__).parents[2]
    for part in ("docs", "clients/browser", "clients/swift"):
        if (root / part).exists():
            shutil.copytree(root / part, folder / part)
    return folder


def test_schemas_are_written_and_checked(tmp_path: Path) -> None:
    """A file that differs fails the check and is named; writing mends it."""
    root = ["--root", str(copied_checkout(tmp_path))]
    assert Said("schema", *root).code == 0
    assert Said("schema", "--check", *root).out == ""
    stale = tmp_path / "docs/schema/events.schema.json"
    stale.write_text("{}")
    checked = Said("schema", "--check", *root)
    assert (checked.code, checked.out) == (1, "differs: docs/schema/events.schema.json\n")
    assert stale.read_text() == "{}"
    written = Said("schema", *root)
    assert (written.code, written.out) == (0, "written: docs/schema/events.schema.json\n")
    assert Said("schema", "--check", *root).code == 0


def test_schemas_need_a_checkout(tmp_path: Path) -> None:
    """Where there are no documents, that is told."""
    said = Said("schema", "--check", "--root", str(tmp_path))
    assert (said.code, "is no checkout" in said.err) == (1, True)
