"""Anthropic's Messages, through their own SDK: text, streamed.

Imported only where the settings configure it, for the SDK is an extra. What it keeps and
what it does not: docs/text.md.
"""

from .provider import Anthropic

__all__ = ["Anthropic"]
