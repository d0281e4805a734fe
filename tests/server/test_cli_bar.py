"""How progress, ages, prices and values are shown by the command line."""

from __future__ import annotations

import argparse
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest

from safelight.cli.bar import WIPE, Bar, drawing
from safelight.cli.models import price_in_words
from safelight.cli.params import BadOption, body_of, named_values
from safelight.cli.run import path_for
from safelight.cli.tasks import age_in_words
from safelight.cli.world import one_line, shown
from safelight_protocol.events import Artifact
from safelight_protocol.snapshot import Snapshot
from tests.doubles.tellings import snapshot


class Terminal(io.StringIO):
    """A stream that claims to be a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


def at(progress: float, **changes: Any) -> Snapshot:
    """A task at some progress."""
    return msgspec.convert(snapshot(1, progress=progress, **changes), Snapshot)


def test_a_terminal_gets_a_bar() -> None:
    """Each state is drawn over the one before, and wiped at the end."""
    terminal = Terminal()
    bar = Bar(terminal)
    bar.show(at(0.5, step=4, steps=8))
    bar.wipe()
    bar.wipe()
    assert terminal.getvalue() == (
        WIPE + "█" * 12 + "░" * 12 + "  50%  processing  step 4 of 8" + WIPE
    )


def test_a_log_gets_lines() -> None:
    """A line for each tenth and each change of status, and none in between."""
    stream = io.StringIO()
    bar = Bar(stream)
    states = [at(0.0, status="queued", reason="local is busy"), at(0.11), at(0.12), at(0.2)]
    for state in [*states, at(0.2, canceling=True), at(0.2, status="canceled")]:
        bar.show(state)
    assert stream.getvalue().splitlines() == [
        "  0%  queued  local is busy",
        " 11%  processing",
        " 20%  processing",
        " 20%  canceled",
    ]


def test_what_is_said_is_a_line_in_a_log() -> None:
    """Another sentence is worth a line at once; another number in it is none."""
    stream = io.StringIO()
    bar = Bar(stream)
    waits = [at(0.0, status="queued", reason=f"busy, behind {n} of yours") for n in (3, 2)]
    silent = at(0.3, message="no word from replicate, which is asked again")
    for state in [*waits, at(0.3), silent, silent, at(0.3)]:
        bar.show(state)
    assert stream.getvalue().splitlines() == [
        "  0%  queued  busy, behind 3 of yours",
        " 30%  processing",
        " 30%  processing  no word from replicate, which is asked again",
        " 30%  processing",
    ]


def test_waiting_for_another_try_is_said() -> None:
    """A task that waits to be tried again is not merely queued."""
    stream = io.StringIO()
    Bar(stream).show(at(0.1, status="queued", retry_at="2026-11-20T12:00:01.000Z", attempt=2))
    assert stream.getvalue() == " 10%  waiting to try again  attempt 2\n"


@pytest.mark.parametrize("stream", [Terminal(), io.StringIO()], ids=["terminal", "log"])
def test_a_lost_line_is_said_once(stream: io.StringIO) -> None:
    """That the connection is gone stands there until it is back."""
    bar = Bar(stream)
    bar.line(True)
    bar.show(at(0.5))
    bar.line(False)
    bar.line(False)
    assert stream.getvalue().count("connection lost; trying again") == 1
    bar.line(True)
    assert "connection lost" not in stream.getvalue().splitlines()[-1].rpartition("\r")[2]


def test_a_poor_terminal_gets_plain_characters() -> None:
    """Where blocks cannot be written, the bar is made of # and -."""
    assert drawing(0.25, "ascii") == "#" * 6 + "-" * 18
    assert drawing(7.0, None) == "#" * 24


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(-5, "0s"), (59.9, "59s"), (60, "1m"), (7199, "1h"), (86_400 * 12, "12d")],
)
def test_ages_are_short(seconds: float, words: str) -> None:
    """The largest unit that fits, and nothing below zero."""
    assert age_in_words(seconds) == words


@pytest.mark.parametrize(
    ("price", "words"), [(None, "unknown"), (0, "free"), (2.0, "$2"), (0.0125, "$0.0125")]
)
def test_prices_are_told_apart(price: float | None, words: str) -> None:
    """Free is not the same as unknown."""
    assert price_in_words(price) == words


def test_control_characters_do_not_reach_a_terminal() -> None:
    """A prompt can neither clear the screen nor begin a new row."""
    assert shown("a\x1b[2Jb\rc\nd") == "a\N{REPLACEMENT CHARACTER}[2Jb\N{REPLACEMENT CHARACTER}c\nd"
    assert one_line("a\nb\tc", 80) == "a b c"
    assert one_line("abcdef", 4) == "abc…"


def test_options_become_a_body() -> None:
    """Values are JSON where they are, and text where they are not."""
    args = argparse.Namespace(
        kind="image",
        prompt="a monk",
        model=None,
        backend="kerniegen",
        seed="18446744073709551615",
        size="768x512",
        steps="8",
        max_cost="0.01",
        param=["aspect_ratio=4:3", "strength=0.5"],
    )
    assert body_of(args) == {
        "kind": "image",
        "prompt": "a monk",
        "model": None,
        "backend": "kerniegen",
        "seed": 2**64 - 1,
        "params": {
            "width": 768,
            "height": 512,
            "steps": 8,
            "aspect_ratio": "4:3",
            "strength": 0.5,
        },
        "max_cost": 0.01,
    }


def test_a_parameter_can_be_in_a_file(tmp_path: Path) -> None:
    """@FILE is what is in the file, as JSON if it is that; @@ begins a value with @; a file
    that is not there is told by name."""
    graph, note = tmp_path / "graph.json", tmp_path / "note.txt"
    graph.write_text('{"3": {"class_type": "X", "inputs": {}}}')
    note.write_text("as it is")
    assert named_values([f"workflow=@{graph}", f"note=@{note}", "to=@@ann", "from=b@c"]) == {
        "workflow": {"3": {"class_type": "X", "inputs": {}}},
        "note": "as it is",
        "to": "@ann",
        "from": "b@c",
    }
    with pytest.raises(BadOption, match=r"--param workflow: found @nowhere\.json"):
        named_values(["workflow=@nowhere.json"])


def test_files_are_named_by_their_type() -> None:
    """The ending follows the media type; one that is unknown gets none."""
    made = Artifact("x", "/x", "image", "image/webp", None, None, 1, "", 1)
    assert path_for(made, 1, "t", None).name == "t.webp"
    assert path_for(made, 3, "t", None).name == "t-3.webp"
    odd = msgspec.structs.replace(made, media_type="image/x-odd")
    assert path_for(odd, 1, "t", None).name == "t"
