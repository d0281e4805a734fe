"""Which queued task runs next, why another one waits, and which took too long.

Pure bookkeeping over uids; the orchestrator asks it and does the claiming. Times are
milliseconds since 1970. What has places is a host, and a model at it; owners take turns at
each (`host.py` has the rule), and of one owner first come is first served. A task that waits
for a retry joins its owner's line when its time has come, so that nothing keeps it waiting
for ever. docs/patience.md tells it to operators.
"""

from __future__ import annotations

from .dispatcher import Dispatcher, Standing
from .line import Waiting
from .names import backend_of, host_for, host_of, label_of

__all__ = [
    "Dispatcher",
    "Standing",
    "Waiting",
    "backend_of",
    "host_for",
    "host_of",
    "label_of",
]
