"""Frames of the socket: what they hold, and that whatever else comes holds nothing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.providers.comfyui.messages import (
    Executing,
    Picture,
    Progress,
    Words,
    image_type,
    read_binary,
    read_text,
)
from tests.doubles.comfy import recorded
from tests.doubles.comfy_wire import JPEG, PNG, binary, legacy, preview

WEBP = b"RIFF\0\0\0\0WEBPVP8 "


@pytest.mark.parametrize("version", ["0.33.0", "0.3.64"])
def test_every_recorded_frame_is_read(version: str) -> None:
    """Of all recorded messages only those that end nothing and move nothing are passed over."""
    passed_over = set()
    for run in recorded()["runs"][version].values():
        for frame in run["frames"]:
            if "binary" in frame:
                assert read_binary(binary(frame["binary"], "P")) is not None
            elif read_text(json.dumps(frame["json"])) is None:
                passed_over.add(frame["json"]["type"])
    known = {"status", "feature_flags", "executed", "execution_error", "execution_interrupted"}
    assert passed_over <= known


def test_a_preview_may_say_whose_it_is() -> None:
    """With metadata it does; without, it belongs to whoever was told of last."""
    assert read_binary(preview(PNG, "P", "3")) == Picture("image/png", PNG, "P", "3")
    assert read_binary(legacy(JPEG)) == Picture("image/jpeg", JPEG, None, None)


@pytest.mark.parametrize("image", [b"", b"no picture", b"<svg>", b"GIF89a", b"RIFF\0\0\0\0WAVE"])
def test_what_is_no_picture_is_dropped(image: bytes) -> None:
    """The first bytes decide, whatever the frame calls them."""
    assert read_binary(preview(image, "P", "3")) is None
    assert read_binary(legacy(image)) is None


@pytest.mark.parametrize(
    ("image", "media_type"), [(PNG, "image/png"), (JPEG, "image/jpeg"), (WEBP, "image/webp")]
)
def test_the_type_is_that_of_the_bytes(image: bytes, media_type: str) -> None:
    """A frame that calls a picture by another type is corrected."""
    assert image_type(image) == media_type


def test_words_are_read_as_they_come() -> None:
    """Also where they are cut in the middle of a letter."""
    assert read_binary(b"\0\0\0\3\0\0\0\1" + b"2" + "hé".encode()) == Words("2", "hé")
    assert read_binary(b"\0\0\0\3\0\0\0\1" + b"2" + b"h\xc3") == Words("2", "h\ufffd")


@pytest.mark.parametrize(
    "frame", [b"", b"\0\0\0\1", bytes(8), b"\0\0\0\2\0\0\0\1x", b"\0\0\0\4\xff\xff\xff\xff{}"]
)
def test_a_frame_that_is_none_holds_nothing(frame: bytes) -> None:
    """Too short, of an unknown kind, or with a header that it does not have."""
    assert read_binary(frame) is None


@given(st.binary(max_size=200))
def test_no_bytes_break_the_reader(frame: bytes) -> None:
    """Any bytes are a picture, words, or nothing; as text, a message or nothing."""
    read_binary(frame)
    read_text(frame)


@pytest.mark.parametrize(
    "message",
    [
        {"type": "executing", "data": {"node": 3, "prompt_id": "P"}},
        {"type": "progress", "data": {"value": 1, "prompt_id": "P"}},
        {"type": "progress", "data": None},
        {"type": 5},
        {"data": {}},
        [],
        5,
    ],
)
def test_a_message_of_another_form_is_none(message: Any) -> None:
    """What lacks its fields, or has others in their place, is passed over."""
    assert read_text(json.dumps(message)) is None


def test_more_fields_do_no_harm() -> None:
    """Newer servers add some."""
    more = {"type": "progress", "new": 1, "data": {"value": 1, "max": 2, "prompt_id": "P", "x": 1}}
    assert isinstance(read_text(json.dumps(more)), Progress)
    assert isinstance(read_text('{"type":"executing","data":{"node":null}}'), Executing)
