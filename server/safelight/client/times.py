"""How long a client waits before it takes the other side for gone.

A connection can die without a word (a phone changes networks, a router forgets): nothing
but a bounded wait notices. All are here, so that nobody waits for ever anywhere else.
"""

from __future__ import annotations

import msgspec

from safelight_protocol.client import ANSWER_SECONDS, HEARTBEAT_SECONDS


class Times(msgspec.Struct, frozen=True, kw_only=True):
    """Seconds. A dead socket is noticed after at most twice `heartbeat`.

    `open`: until a connection is there, with its handshake. `request`: for each step of a
    request; less than the patience of a create, so that it is sent again at least once.
    `answer`: until the reply to a join.
    """

    open: float = 5.0
    request: float = 10.0
    heartbeat: float = HEARTBEAT_SECONDS
    answer: float = ANSWER_SECONDS


USUAL = Times()
"""What suits people and their networks."""
