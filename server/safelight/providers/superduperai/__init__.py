"""SuperDuperAI: pictures and videos by its own files, over its REST and its channels.

docs/superduperai.md tells what it is asked, and what it cannot do. Nothing outside of this
package knows of its bodies.
"""

from __future__ import annotations

from .pace import Timings
from .provider import SuperDuperAI

__all__ = ["SuperDuperAI", "Timings"]
