"""Forms as SDKs send them (multipart/form-data, RFC 7578), read into the JSON they stand for.

A field may come once or, with `[]` behind its name, several times; numbers and yes or no
come as text. Files stay bytes.
"""

from __future__ import annotations

from email import message_from_bytes
from email.message import Message
from typing import Any

from .errors import invalid

NUMBERS = ("n", "partial_images", "output_compression")
FLAGS = ("stream",)


def read(content_type: str, body: bytes) -> dict[str, Any]:
    """Names to text, numbers, flags, or lists of files. Raises Refusal."""
    kind = Message()
    kind["Content-Type"] = content_type
    boundary = kind.get_boundary()
    if not boundary:
        raise invalid("The form has no boundary.", None, None)
    fields: dict[str, Any] = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + boundary.encode())[1:]:
        head, found, content = part.partition(b"\r\n\r\n")
        about = message_from_bytes(head.lstrip(b"\r\n"))
        name = about.get_param("name", header="content-disposition")
        if not found or not isinstance(name, str):
            continue
        _put(fields, name, content, about.get_filename() is not None)
    return fields


def _put(fields: dict[str, Any], name: str, content: bytes, is_file: bool) -> None:
    plain = name.removesuffix("[]")
    if is_file:
        fields.setdefault(plain, []).append(content)
        return
    text = content.decode(errors="replace")
    if plain in NUMBERS:
        try:
            fields[plain] = int(text)
        except ValueError:
            raise invalid(f"Invalid value for '{plain}': expected an integer.", plain) from None
    elif plain in FLAGS:
        fields[plain] = text.lower() in ("true", "1")
    else:
        fields[plain] = text
