"""A bare ASGI callable without a store or a framework: what uvicorn itself allows."""

from __future__ import annotations

from typing import Any

from benchmarks.stores.common import accepted, decode, new_id, serve

HEADERS = [(b"content-type", b"application/json")]


async def app(_scope: Any, receive: Any, send: Any) -> None:
    """Read the whole body, decode it, answer 202."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message["body"]
        more = message.get("more_body", False)
    decode(body)
    answer = accepted(new_id())
    headers = [*HEADERS, (b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 202, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


if __name__ == "__main__":
    serve(app, lifespan="off")
