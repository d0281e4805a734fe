"""Whatever is thrown at a door, the server answers in words and goes on.

Frames and bodies are drawn from nonsense and from near misses of real ones. A socket may
be closed with 1011 or 1009 and nothing else; no answer may be a 5xx; nothing may be logged
as a defect. One real server process takes it all.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import httpx2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

from tests.doubles.process import ServerProcess, server_process

EXAMPLES = 300
WAIT_SECONDS = 10.0
BEAT = '[null,"beat","phoenix","heartbeat",{}]'
DEFECTS = ("request.failed", "socket.defect", "prediction.defect", "Traceback")

TEXTS = st.text(max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
IDS = st.sampled_from(["a", "fuzz-1", "chat_1", "llm_", "x" * 64, "x" * 65, "a b", "", "é"])
TOPICS = st.one_of(
    st.builds("task:{}".format, IDS),
    st.builds("realtime:task:{}".format, IDS),
    st.sampled_from(["phoenix", "tasks:mine", "tasks:other", "room:1", ""]),
    TEXTS,
)
EVENTS = st.sampled_from(
    """phx_join phx_leave phx_reply phx_close phx_error heartbeat ping cancel list image_generate
    video_generate llm_generate broadcast access_token presence dance""".split()
)
REFS = st.none() | st.sampled_from(["1", "2", "é" * 20]) | st.integers() | TEXTS


def fields(**known: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    """Objects with some of the known fields, right or wrong, and perhaps another one."""
    near = {name: value | JSON for name, value in known.items()}
    return st.builds(
        lambda given, more: {**more, **given},
        st.fixed_dictionaries({}, optional=near),
        st.dictionaries(TEXTS, JSON, max_size=1),
    )


CREATES = fields(
    kind=st.sampled_from(["image", "video", "text"]),
    prompt=st.just("a fuzz"),
    model=st.sampled_from(["scripted/text", "scripted/image", "gpt-4.1", "nosuch"]),
    id=IDS,
    seed=st.sampled_from([0, -1, 2**53, 2**64 - 1, 2**64, "7", "-0"]),
    n=st.integers(-1, 10),
    params=fields(width=st.integers(), script=st.lists(fields(do=TEXTS), max_size=2)),
    inputs=st.lists(fields(task=IDS, artifact=TEXTS), max_size=3),
    reuse=st.sampled_from(["never", "inflight", "completed"]),
    request_id=TEXTS,
    input_data=fields(type=TEXTS, prompt=TEXTS),
)
PAYLOADS = st.one_of(
    JSON,
    CREATES,
    fields(create=CREATES, after=st.integers() | TEXTS, log=TEXTS, previews=TEXTS, events=JSON),
    fields(type=TEXTS, event=EVENTS, payload=CREATES),
)
FRAMES = st.one_of(
    st.tuples(REFS, REFS, TOPICS, EVENTS | TEXTS, PAYLOADS).map(json.dumps),
    st.lists(JSON, max_size=7).map(json.dumps),
    fields(topic=TOPICS, event=EVENTS, payload=PAYLOADS, ref=REFS).map(json.dumps),
    TEXTS,
    st.binary(max_size=60),
    st.builds(
        lambda kind, sizes, rest: bytes([kind, *sizes]) + rest,
        st.integers(0, 5),
        st.lists(st.integers(0, 12), min_size=2, max_size=6),
        st.binary(max_size=60),
    ),
)
PATHS = st.sampled_from(
    ["/api/tasks", "/api/tasks:batch", "/api/llm/generate", "/api/tasks/fuzz-1/cancel"]
)
BODIES = st.one_of(
    CREATES.map(json.dumps).map(str.encode),
    fields(tasks=st.lists(CREATES, max_size=4)).map(json.dumps).map(str.encode),
    JSON.map(json.dumps).map(str.encode),
    st.binary(max_size=80),
)
QUERIES = fields(after=TEXTS, wait=st.just("0"), log=TEXTS, limit=TEXTS, before=TEXTS, kind=TEXTS)


class House(NamedTuple):
    """The server process, and one client of it."""

    process: ServerProcess
    http: httpx2.Client


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("fuzz")
    with server_process(folder / "data", scripted=True, log_format="json") as running:
        with httpx2.Client(base_url=running.url, timeout=WAIT_SECONDS, trust_env=False) as http:
            yield House(running, http)


def fuzzed(test: Any) -> Any:
    """Many examples against one server."""
    shared = HealthCheck.function_scoped_fixture, HealthCheck.too_slow
    return settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=shared)(test)


def assert_in_order(house: House) -> None:
    """The server answers, and has met no bug of its own."""
    assert house.http.get("/healthz").status_code == 200
    said = house.process.stderr()
    assert not [word for word in DEFECTS if word in said], said[-4000:]


def answers(line: ClientConnection) -> bool:
    """Whether the socket still answers; False when it was closed with a code for it."""
    try:
        line.send(BEAT)
        while '"beat"' not in str(line.recv(timeout=WAIT_SECONDS)):
            pass
        return True
    except ConnectionClosed as closed:
        assert closed.rcvd is not None and closed.rcvd.code in (1009, 1011), closed
        return False


@pytest.mark.slow
@fuzzed
@given(frames=st.lists(FRAMES, min_size=1, max_size=8))
def test_frames(house: House, frames: list[str | bytes]):
    """Any frames on one socket are answered, ignored, or end it with a code that says why."""
    address = house.process.url.replace("http", "ws") + "/socket/websocket?vsn=2.0.0"
    with connect(address, compression=None, proxy=None) as line:
        for frame in frames:
            try:
                line.send(frame)
            except ConnectionClosed:
                break
        answers(line)
    assert_in_order(house)


@pytest.mark.slow
@fuzzed
@given(path=PATHS, body=BODIES, key=st.none() | TEXTS, kind=st.sampled_from(["json", "text"]))
def test_bodies(house: House, path: str, body: bytes, key: str | None, kind: str):
    """Any body is accepted or refused with a reason; never a 5xx."""
    headers = {"content-type": f"application/{kind}"}
    if key is not None and key.isascii() and key.isprintable():
        headers["idempotency-key"] = key
    answer = house.http.post(path, content=body, headers=headers)
    assert answer.status_code < 500 or answer.json()["code"] == "provider_not_configured"
    assert answer.json()["success"] is answer.is_success
    assert_in_order(house)


@pytest.mark.slow
@fuzzed
@given(query=QUERIES, last=st.none() | TEXTS, path=st.sampled_from(["", "/nosuch", "/a/events"]))
def test_queries(house: House, query: dict[str, Any], last: str | None, path: str):
    """Any query is answered or refused with a reason; never a 5xx."""
    headers = {} if last is None or not last.isascii() else {"last-event-id": last.strip()}
    if any(
        character < " " or character == "\x7f" for character in headers.get("last-event-id", "")
    ):
        headers = {}
    params = {name: str(value) for name, value in query.items()} | {"wait": "0"}
    answer = house.http.get(f"/api/tasks{path}", params=params, headers=headers)
    assert answer.status_code < 500, answer.text
    assert_in_order(house)
