"""What a file is, by its own bytes: types, and sizes from their headers."""

from __future__ import annotations

import io
import struct
from pathlib import Path

import pytest
from PIL import Image

from safelight.media import EXTENSIONS, dimensions, is_shown, sniff
from safelight.pngtext import Inserter, chunk
from safelight.providers.scripted import PIXEL

SNIFFED = {
    b"\x89PNG\r\n\x1a\n....": "image/png",
    b"\xff\xd8\xff\xe0": "image/jpeg",
    b"RIFF\x00\x00\x00\x00WEBPVP8 ": "image/webp",
    b"GIF89a": "image/gif",
    b"\0\0\0\x1cftypavif": "image/avif",
    b"\0\0\0\x1cftypisom": "video/mp4",
    b"\0\0\0\x14ftypqt  ": "video/quicktime",
    b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x84webm": "video/webm",
    b"RIFF\x00\x00\x00\x00WAVEfmt ": "audio/wav",
    b"ID3\x04\0\0": "audio/mpeg",
    b"\xff\xfb\x90\x64": "audio/mpeg",
    b"fLaC\0\0\0\x22": "audio/flac",
    b"OggS\0\x02": "audio/ogg",
    b"\0\0\0\x1cftypM4A ": "audio/mp4",
}
NOTHING = (
    b"",
    b"<!doctype html>",
    b"<svg xmlns='http://www.w3.org/2000/svg'>",
    b"%PDF-1.7",
    b"PK\x03\x04",
    b"RIFF\x00\x00\x00\x00AVI ",
    b"\x1a\x45\xdf\xa3\x01\0\0\0\0\0\0\x1f\x42\x82\x88matroska",
    b"\x7fELF",
)


@pytest.mark.parametrize(("head", "media_type"), SNIFFED.items())
def test_a_type_is_known_by_its_first_bytes(head: bytes, media_type: str) -> None:
    """Each type that is kept, and there is an ending for it."""
    assert sniff(head) == media_type
    assert media_type in EXTENSIONS


@pytest.mark.parametrize("head", NOTHING)
def test_what_could_do_harm_or_is_unknown_is_none(head: bytes) -> None:
    """Pages, scripts, archives, programs and formats that no browser shows."""
    assert sniff(head) is None


def test_sounds_are_handed_over_as_files() -> None:
    """Pictures and films are shown in place."""
    shown = {media_type for media_type in EXTENSIONS if is_shown(media_type)}
    assert {one.partition("/")[0] for one in shown} == {"image", "video", "text"}
    assert {one.partition("/")[0] for one in EXTENSIONS.keys() - shown} == {"audio"}


def box(name: bytes, *inside: bytes) -> bytes:
    """A box of MP4."""
    body = b"".join(inside)
    return struct.pack(">I4s", 8 + len(body), name) + body


def track(width: int, height: int) -> bytes:
    """A track with a header of this size; a sound has none."""
    return box(b"trak", box(b"tkhd", bytes(76), struct.pack(">II", width << 16, height << 16)))


HEAD = box(b"ftyp", b"isom\0\0\2\0isom")
LONG = struct.pack(">I4sQ", 1, b"mdat", 16 + 50) + bytes(50)
MP4S = {
    "at its beginning": HEAD + box(b"moov", track(0, 0), track(640, 360)) + box(b"mdat", bytes(99)),
    "at its end": HEAD
    + LONG
    + box(b"free")
    + box(b"moov", box(b"mvhd", bytes(100)), track(640, 360)),
}


@pytest.mark.parametrize("data", MP4S.values(), ids=MP4S)
def test_a_film_has_the_size_of_its_first_picture_track(tmp_path: Path, data: bytes) -> None:
    """Wherever its headers lie."""
    film = tmp_path / "film"
    film.write_bytes(data)
    assert dimensions(film, "video/mp4") == (640, 360)


BROKEN = [
    HEAD,
    HEAD + b"\0\0\0\4moov",
    HEAD + box(b"moov", b"\0\0\0\0"),
    b"\0\0\0\1moov",
    b"\0" * 5000,
]


@pytest.mark.parametrize("data", BROKEN)
def test_a_film_that_is_odd_has_no_size(tmp_path: Path, data: bytes) -> None:
    """It may play all the same; nothing loops, and nothing is raised."""
    film = tmp_path / "film"
    film.write_bytes(data)
    assert dimensions(film, "video/mp4") == (None, None)
    assert dimensions(film, "video/webm") == (None, None)


def element(name: str, *inside: bytes) -> bytes:
    """An element of WebM with a size of eight bytes."""
    body = b"".join(inside)
    return bytes.fromhex(name) + b"\x01" + len(body).to_bytes(7, "big") + body


def test_a_webm_has_a_size(tmp_path: Path) -> None:
    """Of its first track that has one, in a segment of unknown length too."""
    video = element("e0", element("b0", b"\x02\x80"), element("ba", b"\x01\x68"))
    tracks = element("1654ae6b", element("ae", element("83", b"\2")), element("ae", video))
    head = element("1a45dfa3", element("4282", b"webm"))
    film = tmp_path / "film"
    for segment in (
        element("18538067", element("114d9b74", bytes(5)), tracks),
        bytes.fromhex("18538067") + b"\x01" + b"\xff" * 7 + tracks + element("1f43b675", bytes(9)),
    ):
        film.write_bytes(head + segment)
        assert dimensions(film, "video/webm") == (640, 360)


@pytest.mark.parametrize("size", [1, 7, 33, 34, 10_000])
def test_a_chunk_is_put_behind_the_header_however_the_file_comes(size: int) -> None:
    """In pieces of any size: the same file, with one chunk more."""
    inserter = Inserter(chunk({"prompt": "p"}))
    pieces = [PIXEL[at : at + size] for at in range(0, len(PIXEL), size)]
    made = b"".join([*map(inserter.feed, pieces), inserter.end()])
    with Image.open(io.BytesIO(made)) as image:
        image.load()
        assert str(image.info["safelight"]) == '{"prompt":"p"}'
    assert made.replace(chunk({"prompt": "p"}), b"") == PIXEL


@pytest.mark.parametrize("data", [b"", b"GIF89a", PIXEL[:20], b"\x89PNG\r\n\x1a\n" + bytes(60)])
def test_what_is_no_png_passes_unchanged(data: bytes) -> None:
    """Nor is anything put into the beginning of one."""
    inserter = Inserter(chunk({"prompt": "p"}))
    assert inserter.feed(data) + inserter.end() == data
