"""Whether a webhook is what its sender signed, by Standard Webhooks 1.0.0.

What is signed is id, time and the very bytes of the body. A header may carry several
signatures, while a key is changed; one that is right is enough. Pure: the time is given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Mapping

MOST_SKEW = 300
"""Seconds by which the sender's clock may differ from ours: who has recorded a call cannot
play it back later."""

PREFIX = "whsec_"


class Bad(Exception):
    """It is not signed, or not now, or not by whom we know. The message says which."""


def checked(headers: Mapping[str, str], body: bytes, secret: str, now: float) -> str:
    """The id of a call that is signed with this secret. `headers` are in lower case, `now` is
    in seconds since 1970. Raises Bad."""
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (id and stamp and signatures):
        raise Bad("it has no signature: webhook-id, -timestamp and -signature are expected")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise Bad("its webhook-timestamp is no number of seconds")
    if abs(now - int(stamp)) > MOST_SKEW:
        raise Bad(f"its webhook-timestamp is more than {MOST_SKEW // 60} minutes from now")
    right = signed(secret, id, stamp, body)
    for one in signatures.split(" "):
        version, _, given = one.partition(",")
        if version == "v1" and hmac.compare_digest(given.encode(), right.encode()):
            return id
    raise Bad("its signature is not right")


def signed(secret: str, id: str, stamp: str, body: bytes) -> str:
    """The signature, in base64. Raises Bad for a secret that is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Bad("the secret that it would be checked by is none") from None
    text = b"%b.%b.%b" % (id.encode(), stamp.encode(), body)
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
