"""Every cell of the dispatch table, written out a second time and tried on a socket.

The table in session_table.py is compared with what a client sees, cell by cell, also
where no client of ours ever gets to: `phoenix` as a topic that is joined, a full socket.
"""

from __future__ import annotations

from typing import Any

import pytest

from safelight_protocol.session import Session
from tests.doubles.raw_client import give, joined, session

STANDINGS = ("current", "stale", "free", "full", "nowhere")
CELLS = """
event      current              stale      free       full       nowhere
heartbeat  ok                   ok         ok         ok         ok
phx_join   Leave,Join           Leave,Join Join       too_many   unmatched
phx_leave  Leave,ok,phx_close   -          ok         ok         ok
phx_reply  Leave,phx_error      -          unmatched  unmatched  unmatched
ping       Command              -          unmatched  unmatched  unmatched
"""
ROWS = [line.split() for line in CELLS.strip().splitlines()[1:]]
TABLE = [
    (event, standing, cell)
    for event, *cells in ROWS
    for standing, cell in zip(STANDINGS, cells, strict=True)
]
REFUSALS = {"too many channels joined": "too_many", "unmatched topic": "unmatched"}


def socket(standing: str, topic: str) -> Session:
    """A socket to which `topic` stands as it says, for a frame with join_ref 6."""
    match standing:
        case "current":
            return joined(topic, "6", has_route=str)
        case "stale":
            return joined(topic, "5", has_route=str)
        case "full":
            return joined("task:b", max_channels=1, has_route=str)
        case "nowhere":
            return session(has_route=lambda _topic: None)
        case _:
            return session(has_route=str)


def word(effect: Any) -> str:
    """One effect as the table above calls it: its type, or the frame that is written."""
    match effect:
        case [_, _, _, "phx_reply", {"status": "ok"}]:
            return "ok"
        case [_, _, _, "phx_reply", {"status": "error", "response": {"reason": reason}}]:
            return REFUSALS[reason]
        case [_, _, _, event, _]:
            return str(event)
        case _:
            return type(effect).__name__


@pytest.mark.parametrize(("event", "standing", "cell"), TABLE)
def test_a_frame_gets_what_its_cell_says(event: str, standing: str, cell: str) -> None:
    """What a frame asks for follows from its event and from what its topic is to the socket."""
    topic = "phoenix" if event == "heartbeat" else "task:a"
    effects = give(socket(standing, topic), "6", "60", topic, event)
    assert ",".join(map(word, effects)) == cell.removeprefix("-")
