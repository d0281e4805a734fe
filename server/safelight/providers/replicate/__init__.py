"""Replicate: predictions on models of others, paid by the second or by the result.

`Replicate` keeps the contract of ../base.py; how it is configured, and what was not tried
against the real one, is told in docs/replicate.md. Knows neither tasks nor the store, and
shares nothing with the emulator that it is tested against.
"""

from __future__ import annotations

from .pace import Timings
from .provider import Replicate

__all__ = ["Replicate", "Timings"]
