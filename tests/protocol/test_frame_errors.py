"""The words in which a refused frame is explained."""

from __future__ import annotations

import msgspec
import pytest

from safelight_protocol.codes import CODES
from safelight_protocol.frame_errors import FrameError, in_words, kind_of_json, unreadable

VALUES: list[tuple[object, str]] = [
    (None, "null"),
    (True, "a boolean"),
    (False, "a boolean"),
    (0, "a number"),
    (-1.5, "a number"),
    ("x", "a string"),
    ([], "an array"),
    ({}, "an object"),
]

ARRAYS = [
    ("{nope", "frame", "text that is not JSON"),
    ("", "frame", "text that is not JSON"),
    ("\ud800", "frame", "text that is not JSON"),
    ("[" * 100_000, "frame", "JSON nested too deeply"),
    ('{"topic":"t"}', "frame", "an object"),
    ("null", "frame", "null"),
    ("7", "frame", "a number"),
    ('["1","1","t","e"]', "frame", "an array of 4"),
    ("[]", "frame", "an array of 0"),
    ('["1","1",7,"e",{}]', "topic", "a number"),
    ('["1","1","t",null,{}]', "event", "null"),
    ('["1",1.5,"t","e",{}]', "ref", "a number"),
    ('["1",true,"t","e",{}]', "ref", "a boolean"),
    ('[[],"1","t","e",{}]', "join_ref", "an array"),
]

OBJECTS = [
    ("[1]", "frame", "an array"),
    ('"x"', "frame", "a string"),
    ('{"topic":"t","event":"e","ref":"1"}', "payload", "nothing"),
    ('{"topic":"t","event":"e","payload":{}}', "ref", "nothing"),
    ('{"event":"e","payload":{},"ref":"1"}', "topic", "nothing"),
    ('{"topic":"t","event":1,"payload":{},"ref":"1"}', "event", "a number"),
    ('{"topic":"t","event":"e","payload":{},"ref":{}}', "ref", "an object"),
    ('{"topic":"t","event":"e","payload":{},"ref":null,"join_ref":false}', "join_ref", "a boolean"),
]


@pytest.mark.parametrize(("value", "words"), VALUES)
def test_json_is_named_in_words(value: object, words: str) -> None:
    """A value is named the same from Python and from its first byte."""
    assert in_words(value) == words
    assert kind_of_json(msgspec.json.encode(value)) == words
    assert kind_of_json(msgspec.Raw(msgspec.json.encode(value))) == words


@pytest.mark.parametrize(("text", "field", "found"), ARRAYS)
def test_an_array_that_is_no_frame_is_explained(text: str, field: str, found: str) -> None:
    """The first part that is wrong in a V2 frame is named, with what stood there."""
    error = unreadable(text, array=True)
    assert (error.code, error.field, error.found) == ("bad_frame", field, found)
    assert str(error) == f"{field}: expected {error.expected}, found {found}"


@pytest.mark.parametrize(("text", "field", "found"), OBJECTS)
def test_an_object_that_is_no_frame_is_explained(text: str, field: str, found: str) -> None:
    """The first part that is wrong in a V1 frame is named, with what stood there."""
    error = unreadable(text, array=False)
    assert (error.code, error.field, error.found) == ("bad_frame", field, found)


def test_long_findings_are_cut() -> None:
    """`found` keeps 80 characters, and the whole line fits into a close frame."""
    error = FrameError("invalid", "vsn", found="é" * 200, expected="1.0.x or 2.0.x")
    assert error.found == "é" * 79 + "…"
    assert len(str(error).encode()) <= 123
    assert str(error).startswith("vsn: expected 1.0.x or 2.0.x, found ééé")


@pytest.mark.parametrize("code", ["bad_frame", "invalid", "too_large"])
def test_every_code_is_a_row_of_the_table(code: str) -> None:
    """What a frame can be refused with stands in the one table of codes."""
    assert code in CODES
