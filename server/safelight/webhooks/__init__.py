"""Webhooks out: an event that a task's creator wants to hear of reaches their server, signed.

The notice is on disk with its event, in one transaction, and goes when its receiver has it:
so it arrives at least once, whatever crashes, and its id is the same each time. Knows
neither how tasks move nor who asks.
"""

from .notices import Notices
from .outbox import DeliveryPage, Outbox, SecretShown
from .posting import Poster
from .secrets import Secrets
from .sending import Sender

__all__ = ["DeliveryPage", "Notices", "Outbox", "Poster", "SecretShown", "Secrets", "Sender"]
