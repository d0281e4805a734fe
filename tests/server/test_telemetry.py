"""Log events and counters: only listed names, no secrets, both formats."""

from __future__ import annotations

import errno
import io
import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from safelight import telemetry
from safelight.telemetry import Unlisted, configure, log
from safelight.vocabulary import EVENTS, STATISTICS
from tests.doubles.served import served


@pytest.fixture(autouse=True)
def logging_as_before() -> Iterator[None]:
    """What `configure` changes in the process is put back."""
    root = logging.getLogger()
    handlers, level = root.handlers, root.level
    yield
    root.handlers = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    telemetry._State.strict = True


def records(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_an_event_is_one_line_of_json() -> None:
    """In JSON a log event is a line with its name, level, time and fields."""
    out = io.StringIO()
    configure("info", "json", out)
    log("task.ended", uid="u", id="i", status="completed")
    (line,) = records(out)
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "task.ended",
        "level": "info",
        "uid": "u",
        "id": "i",
        "status": "completed",
    }


def test_an_event_is_readable_on_a_console() -> None:
    """On the console an event is a line with its name and fields."""
    out = io.StringIO()
    configure("info", "console", out)
    log("server.listening", url="http://127.0.0.1:1")
    assert "server.listening" in out.getvalue()
    assert "url=http://127.0.0.1:1" in out.getvalue()


def test_quieter_events_are_left_out() -> None:
    """Events below the level are not written."""
    out = io.StringIO()
    configure("warning", "json", out)
    log("task.ended", uid="u")
    log("store.trouble", error="busy")
    assert [line["event"] for line in records(out)] == ["store.trouble"]


@pytest.mark.parametrize("form", ["json", "console"])
def test_an_exception_comes_with_its_traceback(form: Any) -> None:
    """`exc` is told by its type and where it was raised."""
    out = io.StringIO()
    configure("info", form, out)
    try:
        raise KeyError("lost key")
    except KeyError as trouble:
        log("request.failed", reference="r1", exc=trouble)
    text = out.getvalue()
    assert "KeyError" in text
    assert "test_telemetry.py" in text
    assert "r1" in text


def test_unlisted_names_raise_before_set_up_and_in_tests() -> None:
    """Unless production is configured, an event or field without a row is an error."""
    with pytest.raises(Unlisted, match=r"task\.exploded\(\)"):
        log("task.exploded")
    with pytest.raises(Unlisted, match=r"task\.ended\(prompt\)"):
        log("task.ended", uid="u", prompt="a secret wish")


def test_unlisted_names_are_reported_in_production() -> None:
    """In production the bug is logged instead, and an unlisted field is left out."""
    out = io.StringIO()
    configure("info", "json", out)
    log("task.exploded", uid="u")
    log("task.ended", uid="u", prompt="a secret wish")
    events = [(line["event"], line.get("name"), line.get("unlisted")) for line in records(out)]
    assert events == [
        ("telemetry.unlisted", "task.exploded", ["uid"]),
        ("telemetry.unlisted", "task.ended", ["prompt"]),
        ("task.ended", None, None),
    ]
    assert "wish" not in out.getvalue()


def test_no_row_has_a_place_for_what_is_private() -> None:
    """No event lists a prompt, a token, a body or a result."""
    private = {"prompt", "token", "tokens", "authorization", "body", "content", "query", "params"}
    assert not [name for name, row in EVENTS.items() if private & set(row.fields)]
    assert all(row.meaning.endswith(".") for row in EVENTS.values())


def test_libraries_speak_through_the_same_table() -> None:
    """Warnings of libraries become `library.message`, with tokens cut out; less is silent."""
    out = io.StringIO()
    uvicorn = logging.getLogger("uvicorn.error")
    uvicorn.propagate = False
    configure("debug", "json", out)
    uvicorn.info('"WebSocket /socket/websocket?token=s3cret" [accepted]')
    uvicorn.warning('"GET /socket/websocket?vsn=2.0.0&token=s3cret HTTP/1.1" 400')
    uvicorn.warning("Authorization: Bearer s3cret was sent")
    told = records(out)
    assert [line["event"] for line in told] == ["library.message"] * 2
    assert told[0]["logger"] == "uvicorn.error"
    assert "token=*****" in told[0]["text"]
    assert "s3cret" not in out.getvalue()


def test_a_library_that_the_environment_makes_talk_stays_silent() -> None:
    """An SDK that is told to debug, by a variable of its own, writes requests with all that is
    in them: what is below a warning is no business of our log."""
    out = io.StringIO()
    sdk = logging.getLogger("some_sdk")
    sdk.setLevel(logging.DEBUG)
    configure("debug", "json", out)
    sdk.debug("Request options: a prompt")
    sdk.info("HTTP Request: POST http://a.example")
    sdk.warning("it is deprecated")
    assert [line["text"] for line in records(out)] == ["it is deprecated"]


def test_a_librarys_exception_keeps_its_traceback() -> None:
    """What a library logs with an exception is told with it."""
    out = io.StringIO()
    configure("info", "json", out)
    try:
        raise OSError("gone")
    except OSError:
        logging.getLogger("asyncio").exception("it failed")
    (line,) = records(out)
    assert line["error"] == "OSError"
    assert "gone" in line["exception"]


async def test_every_figure_of_a_running_server_is_told(tmp_path: Path) -> None:
    """GET /healthz tells the figures of the table, all of them and no others."""
    async with served(tmp_path) as house:
        told = (await house.http.get("/healthz")).json()["data"]["statistics"]
    assert set(told) == set(STATISTICS)


class _Full(io.StringIO):
    """Standard error in a file on a full disk."""

    def write(self, text: str) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("form", ["json", "console"])
def test_a_log_that_cannot_be_written_stops_nobody(form: Any) -> None:
    """The log lay on the same full disk, and the line about it ended the request."""
    configure("info", form, _Full())
    log("store.trouble", error="the disk is full", tries=1)
