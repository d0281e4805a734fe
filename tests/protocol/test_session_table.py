"""The dispatch table: total, and as the facts of the protocol have it."""

from __future__ import annotations

import pytest

from safelight_protocol.session_table import TABLE, Do, Kind, Standing, kind_of


def test_no_cell_is_missing() -> None:
    """Every kind of frame has an answer for every standing of its topic."""
    assert set(TABLE) == {(kind, standing) for kind in Kind for standing in Standing}


def test_nothing_is_idle() -> None:
    """Every action of the session is reached from some cell."""
    assert set(TABLE.values()) == set(Do)


@pytest.mark.parametrize("kind", [kind for kind in Kind if kind not in (Kind.HEARTBEAT, Kind.JOIN)])
def test_an_earlier_join_is_not_heard(kind: Kind) -> None:
    """What belongs to another join than the current one is ignored, whatever it is."""
    assert TABLE[kind, Standing.STALE] is Do.IGNORE


@pytest.mark.parametrize(
    ("topic", "event", "kind"),
    [
        ("phoenix", "heartbeat", Kind.HEARTBEAT),
        ("phoenix", "phx_join", Kind.JOIN),
        ("phoenix", "ping", Kind.OTHER),
        ("task:a", "heartbeat", Kind.OTHER),
        ("task:a", "phx_join", Kind.JOIN),
        ("task:a", "phx_leave", Kind.LEAVE),
        ("task:a", "phx_close", Kind.SERVERS),
        ("task:a", "phx_error", Kind.SERVERS),
        ("task:a", "phx_reply", Kind.SERVERS),
        ("task:a", "image_generate", Kind.OTHER),
    ],
)
def test_the_event_says_the_kind(topic: str, event: str, kind: Kind) -> None:
    """A frame's kind follows from its event; a heartbeat also from its topic."""
    assert kind_of(topic, event) is kind
