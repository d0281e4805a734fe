"""The framing of the worker's pipe, both ways."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO

import msgspec
import pytest

from safelight.brush.pipe import (
    BrokenMessage,
    Header,
    Job,
    MessageReader,
    encode_message,
    read_message,
)

REPLIES = [
    (Header(job="a", type="progress", step=1, steps=2, message="Exposing"), b""),
    (Header(job="a", type="preview", step=1, media_type="image/jpeg"), b"\x00\xff" * 300),
    (Header(job="a", type="done"), b""),
]
STREAM = b"".join(encode_message(header, body) for header, body in REPLIES)


@pytest.mark.parametrize("size", [1, 3, 4, 7, 100, 10_000])
def test_replies_survive_any_cut(size: int) -> None:
    """However the bytes are cut, the same replies come out, in order."""
    reader, found = MessageReader(), []
    for at in range(0, len(STREAM), size):
        found += reader.feed(STREAM[at : at + size])
    assert found == REPLIES


def test_the_bytes_are_as_written_down() -> None:
    """Length, header, length, body; big-endian, and absent fields are left out."""
    assert encode_message(Header(job="a", type="done"), b"xyz") == (
        b'\x00\x00\x00\x19{"job":"a","type":"done"}\x00\x00\x00\x03xyz'
    )


@pytest.mark.parametrize(
    "data",
    [
        b"\xff\xff\xff\xff",
        b"\x00\x00\x00\x02{}\xff\xff\xff\xff",
        b"\x00\x00\x00\x02[]" + b"\x00" * 4,
    ],
    ids=["long header", "long body", "no header"],
)
def test_what_is_no_message_is_refused(data: bytes) -> None:
    """A length past the bound and a header of another shape raise, and nothing is kept back."""
    with pytest.raises(BrokenMessage):
        MessageReader().feed(data)


def test_a_blocking_stream_is_read_message_by_message() -> None:
    """Jobs come out whole, and the end of the stream is told apart from a message."""
    job = Job(job="a", kind="image", prompt="монах", seed="1")
    stream = BytesIO(encode_message(job, b"body") * 2)
    for _ in range(2):
        head, body = read_message(stream) or (b"", b"")
        assert msgspec.json.decode(head, type=Job) == job and body == b"body"
    assert read_message(stream) is None


@pytest.mark.parametrize("length", [1, 3, 4, 9, 40])
def test_a_stream_cut_inside_a_message_is_broken(length: int) -> None:
    """An end inside a message is no clean end."""
    with pytest.raises(BrokenMessage):
        read_message(BytesIO(STREAM[:length]))


def test_the_server_needs_no_numpy_for_the_pipe() -> None:
    """Importing the pipe imports neither NumPy nor Pillow."""
    code = (
        "import sys, safelight.brush.pipe; sys.exit('numpy' in sys.modules or 'PIL' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60).returncode == 0
