"""What is heard: the events of one stream, folded into reports, a usage and an end.

The words that end it are the model's `stop_reason`, or an `error`; the end of the stream
says nothing. What it does not know it passes by. Sends nothing.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.prices import Usage, used

from ..base import Delta, Done, Moved, Never, Outcome, Report, Unclear

CUT_SHORT = {
    "max_tokens": "the text was cut off at max_tokens",
    "model_context_window_exceeded": "the text was cut off where the model's window ended",
    "pause_turn": "the model paused before it was done",
}
"""Reasons to stop that leave a text which is not whole, and what its owner is told."""


class Heard:
    """What one stream has said so far."""

    def __init__(self) -> None:
        self.stopped: str | None = None
        self._counts: dict[str, int] = {}

    @property
    def has_ended(self) -> bool:
        """Whether the model has said its last word."""
        return self.stopped is not None

    async def take(self, event: Any, report: Report) -> None:
        """One event of the SDK's."""
        match _at(event, "type"):
            case "message_start":
                self._count(_at(event, "message", "usage"))
            case "content_block_delta" if _at(event, "delta", "type") == "text_delta":
                if text := _at(event, "delta", "text"):
                    await report(Delta(text, part=True))
            case "message_delta":
                self._count(_at(event, "usage"))
                self.stopped = _at(event, "delta", "stop_reason") or self.stopped
                told = CUT_SHORT.get(self.stopped or "")
                if told is not None:
                    await report(Moved(message=told))

    def usage(self) -> Usage | None:
        """What it used, as far as it was said: counts that are all 0 say nothing. Writing to
        the cache is input; the tokens that came out of it are not among the input's."""
        if not any(self._counts.values()):
            return None
        return used(
            {
                "input_token": self._sum("input_tokens", "cache_creation_input_tokens"),
                "cached_token": self._sum("cache_read_input_tokens"),
                "output_token": self._sum("output_tokens"),
            }
        )

    def outcome(self) -> Outcome:
        """What it comes to now that the stream has ended."""
        if self.stopped is None:
            return Unclear("the stream ended before the model did")
        if self.stopped == "refusal":
            told = "the model refuses to answer this"
            return Never("content_refused", told, usage=self.usage())
        return Done(usage=self.usage())

    def _count(self, usage: Any) -> None:
        """Counts are of the whole message so far; what is not said again stands."""
        for name in (
            "input_tokens",
            "cache_creation_input_tokens",
            "cache_read_input_tokens",
            "output_tokens",
        ):
            count = getattr(usage, name, None)
            if isinstance(count, int):
                self._counts[name] = count

    def _sum(self, *names: str) -> int:
        return sum(self._counts.get(name, 0) for name in names)


def _at(thing: Any, *names: str) -> Any:
    """What lies there, None where it does not: not every server sends every field."""
    for name in names:
        thing = getattr(thing, name, None)
    return thing
