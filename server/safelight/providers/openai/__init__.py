"""OpenAI, and every server that speaks as it does: pictures, and text.

Owns the mapping between a prediction and OpenAI's API, through OpenAI's own SDK (an extra of
this package: importing it without the SDK raises ModuleNotFoundError). docs/openai.md tells
what it is configured by, and what is known of other servers.
"""

from .client import Timings
from .provider import OpenAI

__all__ = ["OpenAI", "Timings"]
