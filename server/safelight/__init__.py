"""Safelight: one task per request, watched live from any door."""

__version__ = "0.1.0"
