"""What of uvicorn our protocol classes lean on. None of it is promised by uvicorn; when a
test here fails after an update, read `lines.py`, `call.py` and `exchange.py` against the new
names, and run the rest of test_lines*.py and test_exchange*.py before the range in
pyproject.toml is moved.
"""

from __future__ import annotations

import inspect
import tomllib
from pathlib import Path
from typing import Any

import httptools
import pytest
import uvicorn
from uvicorn.config import Config
from uvicorn.protocols import utils
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import Server, ServerState

from safelight.lines import LineProtocol

ROOT = Path(__file__).parents[3]
TESTED = "0.54"
RANGE = "uvicorn>=0.54,<0.55"

SIGNATURES = {
    WebSocketsSansIOProtocol.__init__: ["self", "config", "server_state", "app_state", "_loop"],
    HttpToolsProtocol.handle_websocket_upgrade: ["self"],
    HttpToolsProtocol.on_response_complete: ["self"],
    HttpToolsProtocol._unset_keepalive_if_required: ["self"],
    HttpToolsProtocol._start_asgi_task: ["self", "cycle", "app"],
    HttpToolsProtocol.timeout_keep_alive_handler: ["self"],
    HttpToolsProtocol.shutdown: ["self"],
    FlowControl.pause_reading: ["self"],
    FlowControl.resume_reading: ["self"],
    utils.get_remote_addr: ["transport"],
    utils.get_local_addr: ["transport"],
    utils.is_ssl: ["transport"],
    Server.shutdown: ["self", "sockets"],
}


def test_the_range_is_what_was_tested() -> None:
    """pyproject.toml lets in what these tests ran with, and nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert RANGE in project["dependencies"]
    assert uvicorn.__version__.startswith(TESTED + "."), f"tested with {TESTED} only"


@pytest.mark.parametrize("function", SIGNATURES, ids=lambda f: f.__qualname__)
def test_what_is_called_is_still_called_so(function: Any) -> None:
    """Names and arguments of what calls us, of what we call, and of what we stand for."""
    assert list(inspect.signature(function).parameters) == SIGNATURES[function]


def test_our_class_is_made_as_uvicorns_own() -> None:
    """The same arguments, and every method that uvicorn and the event loop call."""
    ours, theirs = LineProtocol.__init__, WebSocketsSansIOProtocol.__init__
    assert list(inspect.signature(ours).parameters) == list(inspect.signature(theirs).parameters)
    for name in ("connection_made", "data_received", "eof_received", "connection_lost"):
        assert callable(getattr(LineProtocol, name)) and callable(getattr(HttpToolsProtocol, name))
    assert callable(LineProtocol.shutdown) and callable(WebSocketsSansIOProtocol.shutdown)


def test_the_state_of_the_server_has_what_we_keep() -> None:
    """Connections and tasks are sets that we add ourselves to, the headers a list that is
    replaced from time to time."""
    state = ServerState()
    assert (state.connections, state.tasks, state.default_headers) == (set(), set(), [])


def test_the_configuration_has_what_we_ask() -> None:
    """The names that a line reads, once it is loaded, with a class of ours as it was given."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Never called."""

    config = Config(app, ws=LineProtocol, log_config=None, root_path="/x", ws_max_size=5)
    config.load()
    assert config.ws_protocol_class is LineProtocol
    assert (config.root_path, config.ws_max_size, config.asgi_version) == ("/x", 5, "3.0")
    assert type(config.loaded_app).__name__ == "ProxyHeadersMiddleware"
    assert callable(config.loaded_app)


class Recorded:
    """Stands for our class, and notes in which order uvicorn calls it with what."""

    said: list[tuple[Any, ...]]

    def __init__(self, **given: Any) -> None:
        Recorded.said = [("made", sorted(given))]

    def connection_made(self, transport: Any) -> None:
        """First."""
        self.said.append(("connection_made", transport))

    def data_received(self, data: bytes) -> None:
        """Second."""
        self.said.append(("data_received", data))


class Transport:
    """As much of a transport as the opening needs."""

    protocol: Any = None

    def set_protocol(self, protocol: Any) -> None:
        """Noted."""
        self.protocol = protocol

    def get_extra_info(self, name: str) -> None:
        """Nothing is known."""

    def is_closing(self) -> bool:
        """It is not."""
        return False


async def test_the_request_is_handed_over_whole() -> None:
    """However it came, our class gets the request at once, made anew from what was read,
    with names in lower case, before the transport is told of it."""
    assert issubclass(httptools.HttpParserUpgrade, Exception)

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Never called."""

    config = Config(app, ws=Recorded, log_config=None)
    config.load()
    state, transport = ServerState(), Transport()
    http = HttpToolsProtocol(config=config, server_state=state, app_state={})
    http.connection_made(transport)
    sent = b"GET /x?y HTTP/1.1\r\nHost: a\r\nUPGRADE:  websocket\r\nConnection: Upgrade\r\n\r\n"
    for at in range(len(sent)):
        http.data_received(sent[at : at + 1])
    made = b"GET /x?y HTTP/1.1\r\nhost: a\r\nupgrade: websocket\r\nconnection: Upgrade\r\n\r\n"
    assert Recorded.said[0] == ("made", ["app_state", "config", "server_state"])
    assert Recorded.said[1:] == [("connection_made", transport), ("data_received", made)]
    assert isinstance(transport.protocol, Recorded)
    assert state.connections == set(), "uvicorn forgets its own connection; ours adds itself"


async def test_a_connection_still_has_what_the_short_way_asks() -> None:
    """What `exchange.py` reads and writes of uvicorn's class, and how an answer begins."""

    async def app(scope: Any, receive: Any, send: Any) -> None:
        """Never called."""

    config = Config(app, log_config=None)
    config.load()
    transport: Any = Transport()
    http: Any = HttpToolsProtocol(config=config, server_state=ServerState(), app_state={})
    http.connection_made(transport)
    assert (http.cycle, http.client, http.root_path, http.transport) == (None, None, "", transport)
    assert (http.flow.read_paused, http.flow.write_paused) == (False, False)
    assert (http.server_state.total_requests, http.timeout_keep_alive_task) == (0, None)
    assert STATUS_LINE[202] == b"HTTP/1.1 202 Accepted\r\n"
    cycle = inspect.getsource(RequestResponseCycle)
    assert "headers = self.default_headers + list(" in cycle
    assert 'content.append(b"connection: close\\r\\n")' in cycle


def test_common_headers_are_made_anew_each_second() -> None:
    """They are a list of their own each time, by which ours knows when they are others."""
    source = "".join(inspect.getsource(Server.on_tick).split())
    assert "self.server_state.default_headers=date_header+self.config.encoded_headers" in source


def test_an_answer_still_tells_its_protocol() -> None:
    """What `exchange.py` replaces is what uvicorn calls: at the end of an answer, and whenever
    something comes on an idle connection."""
    source = inspect.getsource(inspect.getmodule(HttpToolsProtocol))
    assert source.count("on_response=self.on_response_complete") == 1
    assert source.count("self._unset_keepalive_if_required()") >= 1
