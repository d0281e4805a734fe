"""Calls of webhooks, as Replicate makes them: signed, filtered, throttled, and in no order.

Each call is on its way by itself. What ends a prediction is tried again for about a minute
when nobody takes it; everything else is tried once. In one run of twelve some call before
the last arrives after it, which is how often the real server's did in the series that were
measured; the fault `disorder` makes it every one.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import secrets
import time
from dataclasses import dataclass

import httpx2

from ..bench import Bench
from .store import Prediction

EVENTS = frozenset({"start", "output", "logs", "completed"})
THROTTLE_SECONDS = 0.5
LATE_SHARE = 1 / 12
LATE_SECONDS = 0.1
"""How long after the last call one that is late comes."""

PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 28.0)
"""Before each further try of the last call, in seconds."""

SKEW_SECONDS = 600
FAULTS = ("lost-webhook", "duplicate-webhook", "disorder", "bad-signature", "skew")


@dataclass
class Sent:
    """What has been sent of one prediction."""

    last: float = float("-inf")
    late: bool = False


class Hooks:
    """The account's one secret, and the calls."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._secret = secrets.token_bytes(24)
        self._client = httpx2.AsyncClient(timeout=10.0, follow_redirects=False, trust_env=False)
        self._sent: dict[str, Sent] = {}

    @property
    def key(self) -> str:
        """The secret as it is told."""
        return "whsec_" + base64.b64encode(self._secret).decode()

    def tell(self, prediction: Prediction, event: str) -> None:
        """Something happened to a prediction: call whoever wants to know."""
        if prediction.webhook is None or event not in prediction.events:
            return
        sent = self._sent.setdefault(prediction.id, Sent())
        at = time.monotonic()
        if event in ("output", "logs") and at - sent.last < THROTTLE_SECONDS:
            return
        sent.last = at
        self._bench.background(self._call(prediction, event, self._body(prediction), sent))

    async def close(self) -> None:
        """Let go of all connections."""
        await self._client.aclose()

    def _body(self, prediction: Prediction) -> bytes:
        told = prediction.told(self._bench.address, self._bench.now())
        return json.dumps(told, ensure_ascii=False).encode()

    async def _call(self, prediction: Prediction, event: str, body: bytes, sent: Sent) -> None:
        faults = self._bench.faults
        fault = faults.one_of(*FAULTS, on=event) or faults.one_of(*FAULTS, on="webhook")
        name = fault.name if fault else ""
        is_last = event == "completed"
        if not is_last and (name == "disorder" or self._is_late(sent)):
            await prediction.over.wait()
            await self._bench.sleep(fault.seconds(LATE_SECONDS) if fault else LATE_SECONDS)
        self._bench.log.event("webhook", prediction.id, told=event, fault=name or None)
        if name == "lost-webhook":
            return
        id, url = "msg_" + secrets.token_hex(12), prediction.webhook or ""
        if name == "duplicate-webhook":
            await self._deliver(url, body, self._headers(id, body, name))
        for pause in (0.0, *PAUSES):
            await self._bench.sleep(pause)
            if await self._deliver(url, body, self._headers(id, body, name)) or not is_last:
                return

    def _is_late(self, sent: Sent) -> bool:
        if sent.late:
            return False
        sent.late = self._bench.random.random() < LATE_SHARE
        return sent.late

    async def _deliver(self, url: str, body: bytes, headers: dict[str, str]) -> bool:
        try:
            answer = await self._client.post(url, content=body, headers=headers)
        except httpx2.HTTPError:
            return False
        return answer.is_success

    def _headers(self, id: str, body: bytes, fault: str) -> dict[str, str]:
        """Signed anew for each try, under the id that all of them have."""
        at = int(time.time())
        if fault == "skew":
            at -= SKEW_SECONDS
        key = b"another" if fault == "bad-signature" else self._secret
        signed = f"{id}.{at}.".encode() + body
        mac = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
        return {
            "content-type": "application/json",
            "user-agent": "Replicate-Emulator",
            "webhook-id": id,
            "webhook-timestamp": str(at),
            "webhook-signature": f"v1,{mac}",
        }
