"""Lines that are written the short way: what they say, and how often the file is touched."""

from __future__ import annotations

import asyncio
import io
import re
from typing import Any, Literal

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from safelight import telemetry
from safelight.logbook import Logbook

Form = Literal["console", "json"]

PLAIN = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{6})?Z")


class Counted(io.StringIO):
    """A file that counts how often it is written to."""

    writes = 0

    def write(self, text: str) -> int:
        """As StringIO does it."""
        self.writes += 1
        return super().write(text)


def short(form: Form, fields: dict[str, Any]) -> str:
    """What the short way makes of a line."""
    out = io.StringIO(newline="")
    Logbook(form, out).add("task.ended", "info", fields, urgent=False)
    return TIME.sub("<time>", out.getvalue())


def general(form: Form, fields: dict[str, Any]) -> str:
    """What structlog makes of it."""
    out = io.StringIO(newline="")
    telemetry.configure("info", form, out)
    try:
        structlog.get_logger().info("task.ended", **fields)
    finally:
        telemetry.reset()
    return TIME.sub("<time>", out.getvalue())


@pytest.mark.parametrize("form", ["console", "json"])
@given(fields=st.dictionaries(st.sampled_from(["uid", "id", "owner", "kind"]), PLAIN))
def test_a_line_is_the_one_that_the_general_way_makes(form: Form, fields: dict[str, Any]) -> None:
    """Whatever plain fields it has, not a character of it differs but for the time."""
    assert short(form, fields) == general(form, fields)


@pytest.mark.parametrize("form", ["console", "json"])
def test_configured_logging_takes_the_short_way(form: Form) -> None:
    """A line of our own without an exception does not go through the processors."""
    out = io.StringIO()
    telemetry.configure("info", form, out)
    structlog.configure(processors=[])
    telemetry.log("task.ended", uid="u", id="i", status="completed")
    assert "completed" in out.getvalue()


async def test_lines_of_one_turn_are_one_write() -> None:
    """Sixty-four creates that are told in the same turn of the loop touch the file once."""
    out = Counted()
    book = Logbook("json", out)
    for number in range(64):
        book.add("task.created", "info", {"uid": str(number)}, urgent=False)
    assert out.writes == 0
    await asyncio.sleep(0)
    assert (out.writes, out.getvalue().count("\n")) == (1, 64)


async def test_what_is_urgent_does_not_wait_and_keeps_its_place() -> None:
    """A warning is in the file at once, behind all that was said before it."""
    out = Counted()
    book = Logbook("console", out)
    book.add("task.created", "info", {"uid": "u"}, urgent=False)
    book.add("store.trouble", "error", {"error": "full"}, urgent=True)
    first, second = out.getvalue().splitlines()
    assert ("task.created" in first, "store.trouble" in second) == (True, True)


async def test_an_exception_comes_after_the_lines_before_it() -> None:
    """What goes the general way does not overtake lines that still wait."""
    out = io.StringIO()
    telemetry.configure("info", "json", out)
    telemetry.log("task.ended", uid="u")
    telemetry.log("request.failed", reference="r", exc=KeyError("k"))
    first, second = out.getvalue().splitlines()
    assert ("task.ended" in first, "request.failed" in second) == (True, True)


def test_without_a_loop_a_line_is_written_at_once() -> None:
    """Nothing would come to write it later."""
    out = Counted()
    Logbook("json", out).add("server.stopped", "info", {}, urgent=False)
    assert out.writes == 1
