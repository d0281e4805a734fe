"""`safelight quote`, `usage` and `run --max-cost` against a real server."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from safelight.cli import main
from safelight.cli.world import World
from safelight_protocol.prices import in_dollars
from tests.doubles.emulated import emulated
from tests.doubles.priced import DONE, models_file
from tests.doubles.process import ServerProcess, server_process


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerProcess]:
    """One whose scripted models have prices; its provider is the shipped one, which is free."""
    folder = tmp_path_factory.mktemp("money")
    own = models_file(folder)
    with server_process(folder / "data", scripted=True, models_file=own) as running:
        yield running


def said(server: ServerProcess, *argv: str) -> tuple[int, str, str]:
    """The exit code of a command, and what it said."""
    out, err = io.StringIO(), io.StringIO()
    world = World({"SAFELIGHT_URL": server.url}, out, err, lambda: 1_800_000_000.0)
    return main(argv, world), out.getvalue(), err.getvalue()


def test_a_quote_is_told_in_words(server: ServerProcess) -> None:
    """What it costs, how that comes about, and what is missing; exit code 1 without it."""
    code, out, err = said(server, "quote", "a monk", "--model", "scripted/image")
    assert code == 1 and out.splitlines()[0] == "scripted/image: $0.003"
    assert "1 image at $0.003" in out and "Send max_cost 0.003 or more." in err
    code, _, err = said(
        server, "quote", "a monk", "--model", "scripted/image", "--max-cost", "0.01"
    )
    assert code == 0 and "max_cost covers it" in err


@pytest.mark.parametrize(
    ("model", "kind", "told"),
    [
        ("scripted/free", "image", "free"),
        ("scripted/text", "text", "$0.00 or more, nobody can say how much"),
    ],
)
def test_what_a_quote_comes_to(server: ServerProcess, model: str, kind: str, told: str) -> None:
    """Free, an amount, or no upper end."""
    _, out, _ = said(server, "quote", "a monk", "--model", model, "--kind", kind)
    assert out.splitlines()[0] == f"{model}: {told}"


def test_a_run_says_what_it_cost_and_usage_adds_it_up(
    server: ServerProcess, tmp_path: Path
) -> None:
    """Refused without max_cost, told with its charge, and in the sums from then on."""
    asked = ["run", "a monk", "--model", "scripted/image", "-o", str(tmp_path / "monk.png")]
    asked += ["--param", f"script={json.dumps(DONE)}"]
    code, _, err = said(server, *asked)
    assert code == 1 and "payment_required" in err and "--max-cost" in err
    code, _, err = said(server, *asked, "--max-cost", "0.003")
    assert code == 0 and "charged: $0.003 (1 image at $0.003)" in err
    code, out, _ = said(server, "usage")
    assert code == 0 and out.splitlines()[0].endswith(": $0.003")
    assert "scripted/image" in out and "DAY" in out


def test_a_day_that_is_none_is_told(server: ServerProcess) -> None:
    """The server's words, exit code 1."""
    code, _, err = said(server, "usage", "--from", "monday")
    assert code == 1 and "a day such as 2026-11-21" in err


def test_models_are_listed_with_their_prices(server: ServerProcess) -> None:
    """For one result, by what is used, or not known."""
    _, out, _ = said(server, "models")
    prices = {line.split()[0]: line for line in out.splitlines()}
    assert "$0.003" in prices["scripted/image"] and "by use" in prices["scripted/text"]
    assert "$2, VIP" in prices["scripted/vip"] and "unknown" in prices["scripted/video"]


def test_what_is_unknown_is_told_with_what_it_may_be(tmp_path: Path) -> None:
    """An answer that was lost may have cost something: `usage` names the task, says the most
    that it may come to, and that the budget counts this as spent; nothing is unknown before."""
    with emulated(tmp_path, "openai") as openai:
        (tmp_path / "safelight.toml").write_text(
            f'budget_per_day = 5.0\n[providers.openai]\nkey = "{openai.key}"\n'
            f'url = "{openai.url}/v1"\napi = "chat"\n'
        )
        with server_process(tmp_path / "data") as server:
            _, _, err = said(server, "usage")
            assert "nknown" not in err.replace("with what is unknown", "")
            assert "$5.00 left of $5.00 ($0.00 spent, with what is unknown; $0.00 held)" in err
            openai.arm("lost-answer@1")
            code, _, err = said(server, "run", "a haiku", "--model", "gpt-5.4-mini")
            assert code == 1 and "outcome_unknown" in err
            task = next(line.split()[1] for line in err.splitlines() if line.startswith("task "))
            _, out, err = said(server, "usage")
            end = httpx2.get(f"{server.url}/api/tasks/{task}", trust_env=False).json()["data"]
    most = in_dollars(end["charge"]["at_most_micros"])
    left = in_dollars(5_000_000 - end["charge"]["at_most_micros"])
    assert out.splitlines()[0].endswith(": $0.00")
    assert "Unknown is what 1 attempt cost" in err
    assert f"task {task}, gpt-5.4-mini: " in err
    assert f"Today's may come to {most} more; the budget counts that as spent." in err
    assert f"{left} left of $5.00 ({most} spent, with what is unknown; $0.00 held)" in err
