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
from typing import NamedTuple

MOST_SKEW = 300
"""Seconds by which the sender's clock may differ from ours: who has recorded a call cannot
play it back later."""

PREFIX = "whsec_"


class Bad(Exception):
    """It is not signed, or not now, or not by whom we know. The message says which."""


class Claim(NamedTuple):
    """What a call says of itself, in time; nobody has looked at its signatures yet."""

    id: str
    stamp: str
    signatures: str


def claimed(headers: Mapping[str, str], now: float) -> Claim:
    """What can be refused of a call without any secret. `headers` are in lower case, `now` is
    in seconds since 1970. Raises Bad."""
    id, stamp = headers.get("webhook-id", ""), headers.get("webhook-timestamp", "")
    signatures = headers.get("webhook-signature", "")
    if not (id and stamp and signatures):
        raise Bad("it has no signature: webhook-id, -timestamp and -signature are expected")
    if not (stamp.isascii() and stamp.isdigit() and len(stamp) < 16):
        raise Bad("its webhook-timestamp is no number of seconds")
    if abs(now - int(stamp)) > MOST_SKEW:
        raise Bad(f"its webhook-timestamp is more than {MOST_SKEW // 60} minutes from now")
    return Claim(id, stamp, signatures)


def check(claim: Claim, body: bytes, secret: str) -> None:
    """Raises Bad unless the call is signed with this secret."""
    right = signed(secret, claim.id, claim.stamp, body)
    for one in claim.signatures.split(" "):
        version, _, given = one.partition(",")
        if version == "v1" and hmac.compare_digest(given.encode(), right.encode()):
            return
    raise Bad("its signature is not right")


def signed(secret: str, id: str, stamp: str, body: bytes) -> str:
    """The signature, in base64. Raises Bad for a secret that is none."""
    try:
        key = base64.b64decode(secret.removeprefix(PREFIX), validate=True)
    except (binascii.Error, ValueError):
        raise Bad("the secret that it would be checked by is none") from None
    text = b"%b.%b.%b" % (id.encode(), stamp.encode(), body)
    return base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()
