"""What each owner's notices are signed with, and the signature (Standard Webhooks 1.0.0).

A secret is made when it is first needed or asked for. After a change the one before it signs
beside it for a day, so that a receiver may change in its own time.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable

from ..insist import insist
from ..store import SecretKept, SecretRow, Store

PREFIX = "whsec_"
SECRET_BYTES = 32
OVERLAP_MS = 86_400_000
"""How long the secret before is good for."""


def signed(secret: str, id: str, timestamp: int, body: bytes) -> str:
    """One signature: HMAC-SHA256 over `id.timestamp.body` with what the secret encodes."""
    key = base64.b64decode(secret.removeprefix(PREFIX))
    text = b"%b.%d.%b" % (id.encode(), timestamp, body)
    return "v1," + base64.b64encode(hmac.new(key, text, hashlib.sha256).digest()).decode()


class Secrets:
    """`token` draws that many random bytes."""

    def __init__(
        self, store: Store, clock: Callable[[], int], token: Callable[[int], bytes]
    ) -> None:
        self._store = store
        self._clock = clock
        self._token = token

    async def of(self, owner: str) -> SecretRow:
        """The owner's secret, made now if there is none. Raises StoreTrouble."""
        row = await self._store.read.deliveries.secret(owner)
        return row or await self._keep(owner, fresh=True)

    async def change(self, owner: str) -> SecretRow:
        """Another secret from now on. Raises StoreTrouble."""
        return await self._keep(owner, fresh=False)

    async def headers(self, owner: str, id: str, body: bytes) -> dict[str, str]:
        """What a try is sent with at this moment."""
        row = await insist(lambda: self.of(owner))
        now = self._clock()
        secrets = [row.secret]
        if row.previous is not None and now < row.made_at + OVERLAP_MS:
            secrets.append(row.previous)
        return {
            "webhook-id": id,
            "webhook-timestamp": str(now // 1000),
            "webhook-signature": " ".join(signed(one, id, now // 1000, body) for one in secrets),
        }

    async def _keep(self, owner: str, *, fresh: bool) -> SecretRow:
        secret = PREFIX + base64.b64encode(self._token(SECRET_BYTES)).decode()
        kept: SecretRow = await self._store.put(SecretKept(owner, secret, self._clock(), fresh))
        return kept
