"""A provider whose predictions report what a test says, when it says so, and never end.

The test awaits `reports[n](...)` itself, so it knows when an event is on disk and told.
Unrealistic: a report that fails does so in the test instead of in the prediction.
"""

from __future__ import annotations

import anyio

from safelight.providers.base import Outcome, Prediction, Report
from safelight.providers.scripted import Scripted


class Ticking(Scripted):
    """`reports` has one function for each prediction, in the order in which they began."""

    def __init__(self) -> None:
        super().__init__()
        self.reports: list[Report] = []

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Leave everything to the test."""
        self.reports.append(report)
        await anyio.sleep_forever()
        raise AssertionError("it does not end")
