"""Google's Gemini, through their own SDK: text, streamed, and pictures.

Imported only where the settings configure it, for the SDK is an extra. What it keeps and
what it does not: docs/text.md.
"""

from .provider import Gemini

__all__ = ["Gemini"]
