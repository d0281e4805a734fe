"""What a ComfyUI server says on its socket, as types; and what it shows there.

Reads text frames into one of a few structs and binary frames into `Picture` or `Words`.
Whatever is unknown, broken or too short is None: plug-ins add messages of their own, and
no frame may end a socket that other predictions hear on. Knows no prediction.
"""

from __future__ import annotations

import msgspec

FEATURE_FLAGS = b'{"type":"feature_flags","data":{"supports_preview_metadata":true}}'
"""Must be the first frame of each connection, or it is not heard: it asks for previews
that say whose they are."""

MAX_HEADER = 64 * 1024
"""Bytes of a preview's metadata; a longer one is none."""

_MAGIC = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"))


class Of(msgspec.Struct, frozen=True):
    """Says whose it is."""

    prompt_id: str


class Cached(msgspec.Struct, frozen=True):
    """Nodes whose results are there already."""

    prompt_id: str
    nodes: list[str] = []


class At(msgspec.Struct, frozen=True):
    """The node that begins; None when the prompt is over. Without a prompt id it is the
    greeting of a socket that came back."""

    node: str | None = None
    prompt_id: str | None = None


class Bar(msgspec.Struct, frozen=True):
    """One node's own progress."""

    prompt_id: str
    value: float
    max: float
    node: str | None = None


class NodeState(msgspec.Struct, frozen=True):
    """How far one node is. An expanded node also names the one in the graph."""

    value: float = 0.0
    max: float = 1.0
    state: str = "running"
    display_node_id: str | None = None
    real_node_id: str | None = None


class States(msgspec.Struct, frozen=True):
    """Every node that has begun."""

    prompt_id: str
    nodes: dict[str, NodeState] = {}


class ExecutionStart(msgspec.Struct, frozen=True, tag_field="type", tag="execution_start"):
    """A prompt left the queue."""

    data: Of


class ExecutionCached(msgspec.Struct, frozen=True, tag_field="type", tag="execution_cached"):
    """Part of it need not run."""

    data: Cached


class Executing(msgspec.Struct, frozen=True, tag_field="type", tag="executing"):
    """It is at this node, or over: the history is written then."""

    data: At


class Progress(msgspec.Struct, frozen=True, tag_field="type", tag="progress"):
    """A node moved."""

    data: Bar


class ProgressState(msgspec.Struct, frozen=True, tag_field="type", tag="progress_state"):
    """All nodes so far."""

    data: States


class ExecutionSuccess(msgspec.Struct, frozen=True, tag_field="type", tag="execution_success"):
    """It ended well. The history may not have it yet."""

    data: Of


Message = ExecutionStart | ExecutionCached | Executing | Progress | ProgressState | ExecutionSuccess


class Picture(msgspec.Struct, frozen=True):
    """A picture on the socket; a preview, or the result of a node that sends it this way.
    `prompt_id` is None where the server does not say whose it is."""

    media_type: str
    data: bytes
    prompt_id: str | None = None
    node: str | None = None


class Words(msgspec.Struct, frozen=True):
    """What a node has to say about where it is."""

    node: str
    text: str


class _Metadata(msgspec.Struct, frozen=True):
    prompt_id: str | None = None
    node_id: str | None = None


_message = msgspec.json.Decoder(Message)
_metadata = msgspec.json.Decoder(_Metadata)


def read_text(frame: str | bytes) -> Message | None:
    """The message in a text frame, if it is one that matters to us."""
    try:
        message: Message = _message.decode(frame)
        return message
    except (msgspec.DecodeError, RecursionError):  # a ValidationError is one, too
        return None


def read_binary(frame: bytes) -> Picture | Words | None:
    """What a binary frame holds: big-endian words of 32 bits, then the rest."""
    kind, second = int.from_bytes(frame[:4], "big"), int.from_bytes(frame[4:8], "big")
    match kind:
        case 1:
            return _picture(frame[8:], None, None)
        case 3:
            node = frame[8 : 8 + second]
            return Words(
                node.decode(errors="replace"), frame[8 + second :].decode(errors="replace")
            )
        case 4 if second <= MAX_HEADER and len(frame) >= 8 + second:
            try:
                head = _metadata.decode(frame[8 : 8 + second])
            except (msgspec.DecodeError, RecursionError):
                return None
            return _picture(frame[8 + second :], head.prompt_id, head.node_id)
    return None


def _picture(data: bytes, prompt_id: str | None, node: str | None) -> Picture | None:
    """By the picture's own first bytes: what the frame says of it is not believed."""
    media_type = image_type(data)
    return None if media_type is None else Picture(media_type, data, prompt_id, node)


def image_type(data: bytes) -> str | None:
    """The media type by the first bytes, of the three that may come."""
    for magic, media_type in _MAGIC:
        if data.startswith(magic):
            return media_type
    return "image/webp" if data[:4] == b"RIFF" and data[8:12] == b"WEBP" else None
