"""One prediction as it was last told, out of answers and webhooks that come in any order.

The rules that make their order not matter: what has ended stays as it ended, what has begun
does not go back to waiting, logs and text only grow, and whatever is told twice changes
nothing. Pure but for the event that wakes whoever follows.
"""

from __future__ import annotations

import json
import re
from typing import Any

import anyio

from .wire import RUNNING, Snapshot

_PERCENT = re.compile(r"(\d{1,3})%\|")
_STEPS = re.compile(r"\b(\d{1,6})/(\d{1,6}) \[")

TAIL = 2000
"""Characters at the end of the logs that are looked at for progress."""


class Course:
    """What is known of one prediction. `hooked` once a webhook of it has come; `news` is set
    at whatever changes, `canceled` once its end was asked for here."""

    def __init__(self, id: str) -> None:
        self.id = id
        self.latest: Snapshot | None = None
        self.logs = ""
        self.text = ""
        self.begun = False
        self.hooked = False
        self.canceled = False
        self.unknown: str | None = None
        self.news = anyio.Event()
        self.followers = 0

    @property
    def ended(self) -> bool:
        """Whether its end is known."""
        return self.latest is not None and self.latest.ended

    def learn(self, snapshot: Snapshot) -> bool:
        """Take in what is told, from wherever; whether it was news."""
        if self.ended or snapshot.id != self.id:
            return False
        before = (self.latest and self.latest.status, self.logs, self.text, self.begun)
        if len(snapshot.logs) > len(self.logs):
            self.logs = snapshot.logs
        if snapshot.status in RUNNING or snapshot.ended:
            self.begun = self.begun or snapshot.started
            text = text_of(snapshot.output)
            if snapshot.ended or (len(text) > len(self.text) and text.startswith(self.text)):
                self.text = text
        else:
            self.unknown = snapshot.status
        # A late word of waiting says nothing of what has begun.
        if snapshot.ended or self.latest is None or snapshot.started or not self.begun:
            self.latest = snapshot
        is_news = before != (self.latest.status, self.logs, self.text, self.begun)
        if is_news or snapshot.ended:
            self.news.set()
        return is_news

    @property
    def progress(self) -> float | None:
        """Of 1, by the last bar that the model has printed; None if it prints none."""
        found = _PERCENT.findall(self.logs[-TAIL:])
        return min(int(found[-1]), 100) / 100 if found else None

    @property
    def steps(self) -> tuple[int, int] | None:
        """The step and their count, by the same bar."""
        found = _STEPS.findall(self.logs[-TAIL:])
        step, steps = found[-1] if found else ("0", "0")
        return (int(step), int(steps)) if 0 < int(steps) >= int(step) else None


def text_of(output: Any) -> str:
    """An output as text: as it is, its pieces joined, and what is neither as JSON."""
    match output:
        case None:
            return ""
        case str():
            return output
        case list() if all(isinstance(one, str) for one in output):
            return "".join(output)
    return json.dumps(output, ensure_ascii=False)
