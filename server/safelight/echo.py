"""What a prediction says a second time when it is followed again.

After a restart, or after a doubt, a provider may report from the beginning what it had
reported before; we cannot ask it to begin in the middle. What our log has of the attempt is
left out here, so that no text is doubled and no file is named twice. Knows neither the
provider nor the store. A first `follow` has nothing behind it, and all it says is new.
"""

from __future__ import annotations

from collections import Counter

from safelight_protocol.snapshot import Snapshot


class Echo:
    """The part of one attempt that is in the log already. `told` is the task's snapshot as
    its prediction begins to be followed."""

    def __init__(self, told: Snapshot | None, attempt: int) -> None:
        ours = told is not None and told.attempt == attempt
        files = told.artifacts if told is not None else ()
        self._files = Counter(file.sha256 for file in files if file.attempt == attempt)
        self._text = told.text if told is not None and ours else ""
        self._progress = told.progress if told is not None and ours else 0.0

    def has_progress(self, progress: float | None) -> bool:
        """Whether this is no news. Ends with the first report that goes further."""
        if progress is None or self._progress == 0.0:
            return False
        if round(progress, 4) <= self._progress:
            return True
        self._progress = 0.0
        return False

    def beyond(self, delta: str) -> str:
        """What of the next piece of text is new, however it is cut this time.

        Text that differs from ours is new from there on: a provider that begins where it
        stopped, instead of at its beginning, is heard whole.
        """
        if self._text.startswith(delta):
            self._text = self._text[len(delta) :]
            return ""
        known, self._text = self._text, ""
        return delta[len(known) :] if delta.startswith(known) else delta

    def knows_files(self) -> bool:
        """Whether any file was named before that has not been said again."""
        return self._files.total() > 0

    def has_file(self, sha256: str) -> bool:
        """Whether this file was named before; each one that we have counts once."""
        if self._files[sha256] <= 0:
            return False
        self._files[sha256] -= 1
        return True
