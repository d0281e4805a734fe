"""What differs between a recorded talk and one that was heard, line by line.

Taken out of both: times, tracebacks, tooltips, counters in file names, and whatever the
recorder cut. Steps of one node are one entry, since how many there are is a matter of pace.
Every difference has a place (`0.33.0/scenario/GET /path field.field`) that
differences.toml can name.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

Event = dict[str, Any]
Difference = tuple[str, str]
"""Its place, and what was recorded and found there."""

TIMES = ("timestamp", "create_time", "execution_start_time", "execution_end_time")
MACHINE = (
    "python_version",
    "ram_total",
    "ram_free",
    "vram_total",
    "vram_free",
    "torch_vram_total",
    "torch_vram_free",
)
UNORDERED = ("current_outputs", "executed", "nodes", "cycle_nodes")
ENDINGS = ("execution_success", "execution_error", "execution_interrupted")
CUT = re.compile(r"\((cut|text cut|\.\.\. \d+ names)|\.\.\. \(\d+ chars\)")


def differences(
    place: str, recorded: list[Event], answers: list[Event], heard: dict[str, list[Event]]
) -> list[Difference]:
    """All of one talk; `answers` are those to its requests and closes, in order."""
    found: list[Difference] = []
    asked = [event for event in recorded if is_answered(event)]
    shifts = _shifts(asked, answers)
    for event, answer, shift in zip(asked, answers, shifts, strict=True):
        if event.get("dir") == "http":
            what = f"{place}/{event['method']} {event['path'].partition('?')[0]}"
            what = re.sub(r"[0-9a-f-]{36}", "{id}", what)
            found += _answer(what, event, answer, shift)
        elif event.get("dir") == "ws-close":
            found += compared(f"{place}/{event['sock']} close", event["code"], answer["code"])
    for name, messages in heard.items():
        told = [e for e in recorded if e.get("sock") == name and e.get("dir") == "ws<-"]
        found += compared(f"{place}/{name} status", statuses(told), statuses(messages))
        found += compared(f"{place}/{name}", tokens(told), tokens(messages))
    return found


def _answer(place: str, event: Event, answer: Event, shift: int) -> Iterator[Difference]:
    yield from compared(f"{place} status", event["status"], answer["status"])
    for name in ("content_type", "content_disposition", "response_text", "response"):
        if event.get(name) is not None:
            here, there = plain(event[name]), plain(answer.get(name))
            yield from compared(f"{place} {name}", here, there)
    if event.get("response_len") == 0:
        yield from compared(f"{place} length", 0, answer["response_len"])
    elif event.get("response_head_hex"):
        signature = event["response_head_hex"][:11]
        yield from compared(f"{place} head", signature, answer["response_head_hex"][:11])
    if "response_json" in event:
        known = plain(event["response_json"])
        there = plain(_shifted(answer.get("response_json"), shift))
        yield from compared(place, known, there)


def is_answered(event: Event) -> bool:
    """Whether something of a server's comes of this event, beside what sockets hear."""
    restarted = event.get("dir") is None and event["note"].startswith("restarted")
    return restarted or event.get("dir") in ("http", "ws-close")


def _shifts(asked: list[Event], answers: list[Event]) -> list[int]:
    """By how much the numbers of the two servers differ, which had run other prompts before;
    after a restart both begin again."""
    shifts: list[int] = []
    shift: int | None = None
    for event, answer in zip(asked, answers, strict=True):
        if event.get("dir") is None:
            shift = 0
        if shift is None and event.get("path") == "/prompt":
            known = (event.get("response_json") or {}).get("number")
            found = (answer.get("response_json") or {}).get("number")
            shift = known - found if type(known) is type(found) is int else None
        shifts.append(shift or 0)
    return shifts


def _shifted(value: Any, shift: int, key: str = "") -> Any:
    if type(value) is int and key in ("number", "priority"):
        return value + shift if value >= 0 else value - shift
    if isinstance(value, dict):
        return {name: _shifted(each, shift, name) for name, each in value.items()}
    if isinstance(value, list):
        if len(value) == 5 and isinstance(value[2], dict):
            return [_shifted(value[0], shift, "number"), *_shifted(value[1:], shift)]
        return [_shifted(each, shift) for each in value]
    return value


def plain(value: Any, key: str = "") -> Any:
    """Without what is no server's choice."""
    if key in TIMES and isinstance(value, int):
        return "<time>"
    if key in MACHINE:
        return "<machine>"
    if key == "traceback":
        return "<traceback>"
    if key == "current_inputs":
        return sorted(value)
    if isinstance(value, dict):
        return {name: plain(each, name) for name, each in value.items() if name != "tooltip"}
    if isinstance(value, list):
        return sorted(value) if key in UNORDERED else [plain(each) for each in value]
    if isinstance(value, str):
        value = re.sub(r"_\d{5}_", "_N_", value)
        return re.sub(r"_temp_[a-z]{5}_", "_temp_X_", value)
    return value


def compared(place: str, here: Any, there: Any) -> Iterator[Difference]:
    """Where two values differ. What the recorder cut equals anything."""
    if isinstance(here, str) and CUT.search(here):
        return
    if isinstance(here, dict) and isinstance(there, dict):
        for name in [*here, *(name for name in there if name not in here)]:
            if name not in there:
                yield f"{place} {name} lost", f"recorded {here[name]!r}"
            elif name not in here:
                yield f"{place} {name} new", f"found {there[name]!r}"
            else:
                yield from compared(f"{place} {name}", here[name], there[name])
    elif isinstance(here, list) and isinstance(there, list):
        if here and isinstance(here[-1], str) and (cut := re.search(r"(\d+) names", here[-1])):
            here, there = [*here[:-1], int(cut[1])], [*there[: len(here) - 1], len(there)]
        for index, (one, other) in enumerate(zip(here, there, strict=False)):
            yield from compared(f"{place} {index}", one, other)
        if len(here) != len(there):
            rest = here[len(there) :], there[len(here) :]
            yield f"{place} length", f"recorded {len(here)}, found {len(there)}; more: {rest}"
    elif here != there:
        yield place, f"recorded {here!r}, found {there!r}"


def tokens(messages: list[Event]) -> list[Any]:
    """What one socket heard, the steps of a node as one entry. A status is part of it where
    its place is no matter of pace: at first, and at the end of a prompt."""
    found: list[Any] = []
    steps: Steps | None = None
    ended = True
    for message in messages:
        kind = message.get("json", {}).get("type")
        part = step_part(message)
        if part is not None:
            steps = steps or Steps()
            steps.add(*part, message)
        elif kind != "status" or ended:
            found += steps.told() if steps else []
            steps = None
            found.append(token(message))
        ended = kind in ENDINGS
    return found + (steps.told() if steps else [])


def statuses(messages: list[Event]) -> list[int]:
    """How long the queue was said to be, each time."""
    told = [message["json"] for message in messages if "json" in message]
    return [
        each["data"]["status"]["exec_info"]["queue_remaining"]
        for each in told
        if each["type"] == "status"
    ]


class Steps:
    """The steps of one node: in which order the parts of a step come."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._last: tuple[Any, Any] = (None, None)
        self._about: Any = None

    def add(self, kind: str, last: tuple[Any, Any] | None, message: Event) -> None:
        """One message more."""
        self._parts.append(kind)
        if last:
            self._last = last
        if "binary" in message:
            self._about = token(message)

    def told(self) -> list[Any]:
        """One entry. A step that was cut off at its end is not counted."""
        whole = " ".join(self._parts).split("state")
        pattern = whole[1].strip() if len(whole) > 1 else whole[0].strip()
        value, most = self._last
        return [{"steps": pattern, "max": most, "all": value == most, "preview": self._about}]


def step_part(message: Event) -> tuple[str, tuple[Any, Any] | None] | None:
    """What part of a step a message is, if it is one."""
    if "binary" in message:
        return ("preview", None) if message["binary"]["event"] != 3 else None
    data = message["json"]["data"]
    if message["json"]["type"] == "progress":
        return "progress", (data["value"], data["max"])
    if message["json"]["type"] != "progress_state":
        return None
    running = [node for node in data["nodes"].values() if node["state"] == "running"]
    if not running or (running[-1]["value"], running[-1]["max"]) == (0, 1):
        return None
    return "state", (running[-1]["value"], running[-1]["max"])


def token(message: Event) -> Any:
    """A message in short."""
    if "binary" in message:
        binary = message["binary"]
        kept = ("event", "image_type_int", "metadata", "node_id", "text")
        magic = {"magic": binary.get("image_magic_hex", "")[:8]}
        return plain({name: binary[name] for name in kept if name in binary} | magic)
    return plain(message["json"])
