"""What is heard: the pieces of one answer, folded into reports, a usage and an end.

Each piece is a whole response, of which the counts are those so far. The word that ends it
is a `finishReason`, or that the prompt was blocked; the end of the stream says nothing. A
picture that the model only thinks of is a preview. Sends nothing.
"""

from __future__ import annotations

from typing import Any

from safelight_protocol.events import Kind
from safelight_protocol.prices import Usage, used

from ..base import Delta, Done, Made, Moved, Never, Outcome, Report, Shown, Unclear
from ..http import redacted

REFUSED = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
        "MODEL_ARMOR",
    }
)
"""Reasons to finish that are a verdict on what was asked for."""

CUT_SHORT = {
    "MAX_TOKENS": "the text was cut off at max_tokens",
    "CONTINUATION": "the text was cut off where its provider's limit is",
}
"""Reasons that leave a text which is not whole, and what its owner is told."""

FINISHED = frozenset({"STOP", *CUT_SHORT})


class Heard:
    """What one answer has said so far, to a request of a `kind`."""

    def __init__(self, kind: Kind) -> None:
        self.stopped: str | None = None
        self._kind = kind
        self._blocked: str | None = None
        self._counts: Any = None
        self._pictures = 0
        self._previews = 0
        self._words = ""

    @property
    def has_ended(self) -> bool:
        """Whether the model has said its last word."""
        return self.stopped is not None or self._blocked is not None

    async def take(self, piece: Any, report: Report) -> None:
        """One piece, as the SDK reads it."""
        if piece.usage_metadata is not None:
            self._counts = piece.usage_metadata
        if piece.prompt_feedback is not None and piece.prompt_feedback.block_reason:
            self._blocked = str(piece.prompt_feedback.block_reason.value)
        for candidate in (piece.candidates or [])[:1]:
            content = candidate.content
            for part in (content.parts if content is not None else None) or []:
                await self._part(part, report)
            if candidate.finish_reason is not None:
                self.stopped = str(candidate.finish_reason.value)
                if self._kind == "text" and self.stopped in CUT_SHORT:
                    await report(Moved(message=CUT_SHORT[self.stopped]))

    async def _part(self, part: Any, report: Report) -> None:
        picture = part.inline_data
        if picture is not None and picture.data and self._kind == "image":
            media_type = picture.mime_type or ""
            if part.thought:
                self._previews += 1
                await report(Shown(self._previews, media_type, picture.data))
            else:
                self._pictures += 1
                await report(Made("image", media_type, picture.data))
        elif part.text and not part.thought:
            if self._kind == "text":
                await report(Delta(part.text, part=True))
            else:
                self._words += part.text

    def usage(self) -> Usage | None:
        """What it used, as far as it was said: counts that are all 0 say nothing. Tokens that
        came out of a cache, and those of pictures, are not among the others; thoughts are
        output."""
        counts = self._counts
        if counts is None:
            return None
        cached = counts.cached_content_token_count or 0
        asked = (counts.prompt_token_count or 0) + (counts.tool_use_prompt_token_count or 0)
        written = (counts.candidates_token_count or 0) + (counts.thoughts_token_count or 0)
        if not asked and not written:
            return None
        drawn = _of_pictures(counts.candidates_tokens_details)
        if drawn is None and self._kind == "image" and not self._pictures:
            drawn = 0
        count: dict[str, int] = {
            "input_token": max(0, asked - cached),
            "cached_token": cached,
            "output_token": max(0, written - (drawn or 0)),
        }
        if self._kind == "image":
            count["image"] = self._pictures
        if drawn is not None:
            count["output_image_token"] = drawn
        return used(count)

    def outcome(self) -> Outcome:
        """What it comes to now that the stream has ended."""
        if self._blocked is not None:
            return Never("content_refused", "the prompt was refused", usage=self.usage())
        if self.stopped is None:
            return Unclear("the stream ended before the model did")
        if self.stopped in REFUSED:
            return Never("content_refused", "what came of it was refused", usage=self.usage())
        if self.stopped not in FINISHED or (self._kind == "image" and not self._pictures):
            return Never("provider_failed", self._why_nothing(), usage=self.usage())
        return Done(usage=self.usage())

    def _why_nothing(self) -> str:
        ended = f"the model ended with {redacted(self.stopped)}"
        made = "and made no picture" if self._kind == "image" else "before it was done"
        return redacted(f"{ended} {made}" + (f": {self._words}" if self._words else ""))


def _of_pictures(details: Any) -> int | None:
    """The tokens of pictures among those that were written; None where nothing is said."""
    if details is None:
        return None
    return sum(
        one.token_count or 0
        for one in details
        if one.modality is not None and one.modality.value == "IMAGE"
    )
