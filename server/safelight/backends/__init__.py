"""Named backends: one object each, and the directory that knows how all of them are."""

from __future__ import annotations

from .base import Backend, Health, Unreachable, Wanted
from .directory import Directory
from .watch import Rhythm

__all__ = ["Backend", "Directory", "Health", "Rhythm", "Unreachable", "Wanted"]
