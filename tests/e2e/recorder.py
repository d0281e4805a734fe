"""Records what a client and a real server say to each other, for docs/wire.md.

Owns the transcript: requests, answers and frames as text, with ids, times and other
chance made the same in every run, and the shape of a text, by which two runs are
compared. What is played is in `scenes.py`.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import httpx2
import msgspec
from websockets.exceptions import ConnectionClosed

from safelight_protocol.binary import decode_server
from tests.doubles.served import Phone, Served

REASONS = {413: "Content Too Large", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
"""The words that changed between versions of Python, as RFC 9110 has them."""

SHOWN_HEADERS = (
    "content-type",
    "location",
    "preference-applied",
    "etag",
    "cache-control",
    "content-range",
    "retry-after",
    "allow",
)


class Line(msgspec.Struct, frozen=True):
    """One thing that was said, and by whom."""

    by: Literal["client", "server"]
    text: str


class Scene(msgspec.Struct, frozen=True):
    """A short exchange. `door` is the chapter of docs/wire.md that it stands in."""

    name: str
    door: Literal["rest", "socket"]
    says: str
    lines: list[Line]


class Recorder:
    """Plays client against one server and writes down both sides."""

    def __init__(self, house: Served) -> None:
        self.house = house
        self.scenes: list[Scene] = []

    def scene(self, name: str, door: Literal["rest", "socket"], says: str) -> None:
        """What follows belongs to a new scene."""
        self.scenes.append(Scene(name, door, says, []))

    def say(self, by: Literal["client", "server"], text: str) -> None:
        """Write one line down."""
        self.scenes[-1].lines.append(Line(by, text))

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        cut: Callable[[Any], None] = lambda answer: None,
        **headers: str,
    ) -> Any:
        """One request and its answer, both written down; returns the JSON of the answer.

        `cut` may shorten a long answer before it is written down.
        """
        named = {name.replace("_", "-").title(): value for name, value in headers.items()}
        self.say("client", _request(method, path, body, named))
        content = None if body is None else _compact(body)
        response = await self.house.http.request(method, path, content=content, headers=named)
        self.say("server", _answer(response, cut))
        return None if not _is_json(response) else response.json()

    @asynccontextmanager
    async def socket(self, query: str = "vsn=2.0.0") -> AsyncIterator[Wire]:
        """A socket whose frames are written down."""
        async with self.house.connect(query) as phone:
            yield Wire(self, phone)

    def masked(self) -> list[Scene]:
        """The scenes, as they would read in any run."""
        whole = "\n".join(line.text for scene in self.scenes for line in scene.lines)
        mask = _Mask(whole, self.house.context.log.id)
        return [
            msgspec.structs.replace(scene, lines=[Line(by.by, mask(by.text)) for by in scene.lines])
            for scene in self.scenes
        ]


class Wire:
    """One socket: frames go out as they are written, and come in one by one."""

    def __init__(self, recorder: Recorder, phone: Phone) -> None:
        self._recorder = recorder
        self.phone = phone

    async def send(self, *frame: Any) -> None:
        """One frame: five parts for V2, one object for V1, or any text."""
        whole = frame if len(frame) == 5 else frame[0]
        text = whole if isinstance(whole, str) else _compact(whole)
        self._recorder.say("client", text)
        await self.phone.connection.send(text)

    async def until(self, *wanted: str, only: bool = False) -> Any:
        """Frames up to the first whose event, or type of task event, is the first of
        `wanted`, then the next, and so on. With `only` no others are written down."""
        frame: Any = None
        for name in wanted:
            while True:
                frame = await self.phone.receive()
                hit = name in _names(frame)
                if hit or not only:
                    self._recorder.say("server", _shown(frame))
                if hit:
                    break
        return frame

    async def until_all(self, *wanted: str) -> None:
        """One frame of each name, in whatever order they come; written down in this one."""
        found: dict[str, Any] = {}
        while len(found) < len(wanted):
            frame = await self.phone.receive()
            found |= {name: frame for name in _names(frame) if name in wanted}
        for name in wanted:
            self._recorder.say("server", _shown(found[name]))

    async def until_closed(self) -> None:
        """The server hangs up."""
        try:
            await self.phone.receive()
        except ConnectionClosed as closed:
            assert closed.rcvd is not None, "the server closes with a code"
            self._recorder.say("server", f"close {closed.rcvd.code}: {closed.rcvd.reason}")


def shape(text: str) -> list[Any]:
    """What stays the same from run to run: status lines, names of headers and of SSE
    fields, and the keys and types of every JSON value; null fits any type."""
    return [found for line in text.splitlines() if (found := _line_shape(line)) is not None]


def fits(one: Any, other: Any) -> bool:
    """Whether two shapes are the same, null being like anything."""
    if one == "null" or other == "null":
        return True
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(fits(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(fits, one, other))
    return bool(one == other)


def _line_shape(line: str) -> Any:
    field, _, value = line.partition(": ")
    if line.startswith(("[", "{")):
        return _json_shape(json.loads(line))
    if field == "data":
        return _json_shape(json.loads(value))
    if field in ("id", "event", "retry") or re.fullmatch(r"[A-Z][A-Za-z-]*", field):
        return value if field == "event" else field
    return line if line.startswith(("HTTP/", "close ")) else None


def _json_shape(value: Any) -> Any:
    match value:
        case dict():
            return {key: _json_shape(inner) for key, inner in value.items()}
        case list():
            return [_json_shape(inner) for inner in value]
        case bool():
            return "boolean"
        case int() | float():
            return "number"
    return "null" if value is None else "string"


def _names(frame: Any) -> tuple[str, ...]:
    if isinstance(frame, bytes):
        return (decode_server(frame).event,)
    event, payload = (
        (frame["event"], frame["payload"]) if isinstance(frame, dict) else (frame[3], frame[4])
    )
    return (payload.get("type", event),) if event == "progress" else (event,)


def _shown(frame: Any) -> str:
    if not isinstance(frame, bytes):
        return _compact(frame)
    found = decode_server(frame)
    header = found.payload[4 : 4 + int.from_bytes(found.payload[:4], "big")]
    picture = found.payload[4 + len(header) :]
    head = frame[: 1 + 2]
    return "\n".join(
        (
            f"binary, {len(frame)} bytes:",
            f"  {head.hex(' ')}  kind, lengths of topic and event",
            f"  {found.topic}{found.event}",
            f"  {found.payload[:4].hex(' ')}  length of the header",
            header.decode(),
            f"  {picture[:8].hex(' ')} …  the bytes of the picture",
        )
    )


def _request(method: str, path: str, body: Any, headers: dict[str, str]) -> str:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    return "\n".join(lines if body is None else [*lines, "", _compact(body)])


def _answer(response: httpx2.Response, cut: Callable[[Any], None]) -> str:
    # Not the server's own words, which come with the version of Python: RFC 9110 calls
    # 422 "Unprocessable Content", Python 3.11 still "Unprocessable Entity".
    phrase = REASONS.get(response.status_code, response.reason_phrase)
    lines = [f"HTTP/1.1 {response.status_code} {phrase}"]
    shown = [name for name in SHOWN_HEADERS if name in response.headers]
    lines += [f"{name.title()}: {response.headers[name]}" for name in shown]
    if _is_json(response):
        body = response.json()
        cut(body)
        lines += ["", _compact(body)]
    elif response.headers.get("content-type", "").startswith("text/"):
        lines += ["", response.text.rstrip()]
    elif response.content:
        lines += ["", f"({len(response.content)} bytes)"]
    return "\n".join(lines)


def _is_json(response: httpx2.Response) -> bool:
    return "json" in response.headers.get("content-type", "")


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


class _Mask:
    """Replaces what chance made: the n-th different id is the same in every run."""

    def __init__(self, whole: str, log: str) -> None:
        self._words = {log: "5e8f1c2d9a07"}
        for pattern, form in (
            (r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", UUID),
            (r"(?<=/api/artifacts/)[A-Za-z0-9_-]{32}", "made-up-artifact-id-{:012d}"),
            (r"(?<=/api/previews/)[A-Za-z0-9_-]{32}", "made-up-preview-id--{:012d}"),
        ):
            found = dict.fromkeys(re.findall(pattern, whole))
            self._words |= {word: form.format(n) for n, word in enumerate(found, start=1)}

    def __call__(self, text: str) -> str:
        for word, masked in self._words.items():
            text = text.replace(word, masked)
        text = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+Z", "2026-11-21T09:30:00.000Z", text)
        text = re.sub(r'"seed":\d{6,}', '"seed":3141592653589793', text)
        text = re.sub(r'"queued_ms":\d+', '"queued_ms":4', text)
        return re.sub(r'"running_ms":\d+', '"running_ms":2300', text)


UUID = "019aa5c0-7a3e-7000-8000-{:012d}"
