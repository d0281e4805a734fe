"""Somebody who is called: a server of one thread per connection that keeps every request.

    with listening() as listener:
        ... hand out listener.url ...
        call = listener.wait(lambda call: call.json()["status"] == "succeeded")

Answers are taken from `answers` in turn, the last one for ever; a number is a status.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

PATIENCE = 20.0


@dataclass(frozen=True)
class Call:
    """One request: headers in lower case, and the very bytes."""

    path: str
    headers: dict[str, str]
    body: bytes

    def json(self) -> Any:
        """What was sent."""
        return json.loads(self.body)


class Listener:
    """`calls` are those that came so far, in the order in which they were read."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.calls: list[Call] = []
        self.answers: list[int] = [204]
        self._heard = threading.Condition()

    def take(self, call: Call) -> int:
        """Keep it, and say what is answered."""
        with self._heard:
            self.calls.append(call)
            self._heard.notify_all()
            return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

    def wait(self, wanted: Callable[[Call], bool], times: int = 1) -> list[Call]:
        """Wait until that many such calls have come, and return all of these. Raises
        AssertionError with what came instead."""
        with self._heard:
            found = self._heard.wait_for(
                lambda: len([c for c in self.calls if wanted(c)]) >= times, PATIENCE
            )
            assert found, [call.body[:300] for call in self.calls]
            return [call for call in self.calls if wanted(call)]


@contextmanager
def listening() -> Iterator[Listener]:
    """A listener on a port of its own."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", "0")))
            headers = {name.lower(): value for name, value in self.headers.items()}
            self.send_response(listener.take(Call(self.path, headers, body)))
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            return None

    class Server(ThreadingHTTPServer):
        request_queue_size = 512  # a call that meets a full queue may never come again

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    listener = Listener(f"http://127.0.0.1:{server.server_port}/hook")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield listener
    finally:
        server.shutdown()
        server.server_close()
        thread.join(PATIENCE)
