"""A liar in front of an application: what it says is changed on its way out.

An ASGI application around another one, so that our own server can be made to break one
rule of the wire and no other. Unrealistic: bodies are changed chunk by chunk, so a lie
must fit into what the server sends at once; and sockets are served as on a foreign server,
since nothing that is written to our own line itself could be changed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from safelight.edges.line import LINE


class Lie(msgspec.Struct, frozen=True):
    """What is changed: statuses of answers, chunks of their bodies, text frames of sockets.

    A frame for which None is returned is swallowed.
    """

    status: Mapping[int, int] = {}
    body: Callable[[bytes], bytes] = bytes
    frame: Callable[[str], str | None] = str

    def __call__(self, app: Any) -> Any:
        """The application with the liar in front."""

        async def lying(scope: Any, receive: Any, send: Any) -> None:
            async def told(message: Any) -> None:
                changed = self._changed(dict(message))
                if changed is not None:
                    await send(changed)

            extensions = dict(scope.get("extensions") or {})
            extensions.pop(LINE, None)
            await app(scope | {"extensions": extensions}, receive, told)

        return lying

    def _changed(self, message: dict[str, Any]) -> dict[str, Any] | None:
        match message["type"]:
            case "http.response.start":
                message["status"] = self.status.get(message["status"], message["status"])
                if self.body is not bytes:
                    message["headers"] = [
                        (name, text)
                        for name, text in message["headers"]
                        if name.lower() != b"content-length"
                    ]
            case "http.response.body":
                message["body"] = self.body(message.get("body", b""))
            case "websocket.send" if message.get("text") is not None:
                message["text"] = self.frame(message["text"])
                return None if message["text"] is None else message
        return message
