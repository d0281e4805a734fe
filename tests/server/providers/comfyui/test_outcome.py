"""What the history says of an end, and the files and words of every kind of node."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.base import Delta, Found, Made
from safelight.providers.comfyui.answers import Entry, Status
from safelight.providers.comfyui.client import Client
from safelight.providers.comfyui.outcome import end_of, outputs_of, reports_of
from safelight.providers.comfyui.pace import Timings
from safelight.settings import BackendSettings

CLIENT = Client(BackendSettings(url="http://127.0.0.1:1"), Timings())


def entry(outputs: Any, order: tuple[str, ...] = ("9",)) -> Entry:
    """A history entry of a graph with these nodes."""
    graph = {node: {"class_type": "X", "inputs": {}} for node in order}
    return Entry(prompt=[0, "P", graph, {}, []], outputs=outputs)


def file(name: str, type: str = "output", **more: Any) -> dict[str, Any]:
    """A file as a node names it."""
    return {"filename": name, "subfolder": "", "type": type} | more


def reports(outputs: Any, kind: Any = "image", order: tuple[str, ...] = ("9",)) -> list[Any]:
    """What is reported of these outputs."""
    return reports_of(outputs_of(entry(outputs, order)), kind, CLIENT, {})


@pytest.mark.parametrize(
    ("key", "name", "kind", "media_type"),
    [
        ("images", "a.png", "image", "image/png"),
        ("images", "a.WEBP", "image", "image/webp"),
        ("gifs", "a.mp4", "video", "video/mp4"),
        ("video", "a.webm", "video", "video/webm"),
        ("gifs", "a.gif", "image", "image/gif"),
        ("text", "a.txt", "text", "text/plain"),
        ("whatever", "a.jpg", "image", "image/jpeg"),
    ],
)
def test_files_are_found_whatever_their_list_is_called(
    key: str, name: str, kind: str, media_type: str
) -> None:
    """The ending says what a file is; the key it came under does not matter."""
    (found,) = reports({"9": {key: [file(name)]}})
    assert isinstance(found, Found)
    assert (found.kind, found.media_type) == (kind, media_type)


def test_what_is_animated_is_a_video() -> None:
    """A WebP, PNG or GIF that its node calls animated moves; the flags are no files."""
    found = reports({"9": {"images": [file("a.webp")], "animated": [True]}})
    assert [f.kind for f in found] == ["video"]
    still = reports({"9": {"images": [file("a.webp")], "animated": [False]}})
    assert [f.kind for f in still] == ["image"]


def test_files_come_in_the_order_of_the_graph() -> None:
    """Not in the order in which the nodes happened to run."""
    outputs = {"2": {"images": [file("b.png")]}, "10": {"images": [file("a.png"), file("c.png")]}}
    found = reports(outputs, order=("10", "2"))
    assert [f.key for f in found] == ["10/0/a.png", "10/1/c.png", "2/0/b.png"]


def test_previews_count_only_where_nothing_else_is() -> None:
    """A temporary file is a result only of a graph that keeps nothing."""
    kept, passing = {"images": [file("a.png")]}, {"images": [file("b.png", "temp")]}
    assert [f.key for f in reports({"8": passing, "9": kept})] == ["9/0/a.png"]
    assert [f.key for f in reports({"8": passing})] == ["8/0/b.png"]
    assert reports({"8": {"images": [file("in.png", "input")]}}) == []


def test_words_are_text_of_a_text_and_files_of_the_rest() -> None:
    """A node's text is told as deltas of a text task, and made as a file otherwise."""
    outputs = {"9": {"text": ["hello", ""]}}
    assert reports(outputs, "text") == [Delta("hello")]
    (made,) = reports(outputs, "image")
    assert isinstance(made, Made) and (made.kind, made.data) == ("text", b"hello")


def test_an_address_has_exactly_three_parts() -> None:
    """Odd names are quoted, and keys that newer servers add are not passed on."""
    given = file("a &b?.png", subfolder="x/ü", asset_hash="1")
    (found,) = reports({"9": {"images": [given]}})
    assert found.url == (
        "http://127.0.0.1:1/view?filename=a+%26b%3F.png&subfolder=x%2F%C3%BC&type=output"
    )


def test_what_nobody_keeps_is_left_out() -> None:
    """Sound, shapes, and things that are no files at all are passed over."""
    outputs = {
        "9": {
            "audio": [file("a.flac")],
            "3d": [file("a.glb")],
            "odd": [5, None, [], {}, {"filename": 7}, "a.png"],
            "number": 5,
        }
    }
    assert reports(outputs | {"8": None, "7": []}) == []


@pytest.mark.parametrize(
    ("messages", "status", "completed", "end"),
    [
        ([["execution_start", {}], ["execution_success", {}]], "success", True, "success"),
        ([["execution_error", {}]], "error", False, "error"),
        ([["execution_interrupted", {}]], "error", False, "interrupted"),
        ([["execution_cached", {}]], "success", True, "success"),
        ([], "error", False, "error"),
        ([["odd"], [], ["execution_success"]], "", False, "success"),
    ],
)
def test_the_last_message_says_how_it_ended(
    messages: list[Any], status: str, completed: bool, end: str
) -> None:
    """An interrupted prompt says `error`, too; only its messages tell the two apart."""
    assert end_of(Entry(status=Status(status, completed, messages))) == end


def test_no_status_is_a_success() -> None:
    """Very old servers keep none, and only what went well."""
    assert end_of(Entry()) == "success"
