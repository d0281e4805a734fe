"""What is learnt of providers and models, and what follows for those who wait: breakers,
limits of time, ranges until the end, and hosts that are equal.

Hears of every attempt, and tells the dispatcher whom not to take. Writes nothing, ends no
task and fails none: who waits for a breaker waits, within the task's own time. Knows neither
store nor orchestrator.
"""

from __future__ import annotations

from .patience import Outlook, Patience, is_news
from .rules import MOST_OPEN_SECONDS, Key, Rules

__all__ = ["MOST_OPEN_SECONDS", "Key", "Outlook", "Patience", "Rules", "is_news"]
