"""Frames that many get: what travels, what is inside, and which are kept."""

from __future__ import annotations

import pytest

from safelight.broadcast import Broadcast, Shelf, packed


@pytest.mark.parametrize("size", [0, 1, 125, 126, 65_535, 65_536])
def test_the_message_is_what_the_frame_was_made_of(size: int) -> None:
    """Text as `str`, bytes as bytes, whatever the length of the head."""
    assert Broadcast.of_text(b"x" * size).message == "x" * size
    assert Broadcast.of_binary(b"\xff" * size).message == b"\xff" * size
    assert packed("x" * size) == packed(Broadcast.of_text(b"x" * size))


def test_who_wants_the_same_gets_the_same() -> None:
    """It is made at the first call."""
    shelf, made = Shelf(100), []

    def make() -> bytes:
        made.append(True)
        return b"frame"

    assert shelf.take("a", make) is shelf.take("a", make)
    assert shelf.take("b", make) is not shelf.take("a", make)
    assert len(made) == 2


def test_the_longest_unwanted_goes_first() -> None:
    """When the next one is too much; one that alone is too much is made, and not kept."""
    shelf = Shelf(3)
    one, two, three = (shelf.take(name, lambda: b"1") for name in "abc")
    assert shelf.take("a", lambda: b"1") is one
    shelf.take("d", lambda: b"1")
    assert shelf.take("b", lambda: b"2").wire == b"2"
    assert shelf.take("a", lambda: b"1") is one
    assert two.wire == three.wire == b"1"
    large = shelf.take("e", lambda: b"1234")
    assert large.wire == b"1234"
    assert shelf.take("e", lambda: b"1234") is not large
