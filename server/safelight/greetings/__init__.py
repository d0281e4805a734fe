"""Providers as they have taken us: greeted in the background, told from memory."""

from __future__ import annotations

from .reception import Reception, State
from .receptions import Manners, Receptions

__all__ = ["Manners", "Reception", "Receptions", "State"]
