"""The WebSocket at /ws: registration, feature flags in the first frame, and waiting.

All that is sent afterwards is the hub's business.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from .answers import cutter
from .hub import Guest, as_text, deliver
from .studio import Studio


async def socket(websocket: WebSocket, studio: Studio) -> None:
    """Serve one socket until it closes."""
    await websocket.accept()
    cut = websocket.scope.get("kernie.cut") or cutter(None)
    guest = studio.hub.enter(websocket, websocket.query_params.get("clientId"), cut)
    studio.journal.event("socket", client_id=guest.sid)
    try:
        await deliver(websocket, as_text("status", studio.status() | {"sid": guest.sid}))
        if studio.hub.client_id == guest.sid and studio.hub.node_id is not None:
            await deliver(websocket, as_text("executing", {"node": studio.hub.node_id}))
        await _listen(websocket, guest, studio)
    finally:
        studio.hub.leave(guest)


async def _listen(websocket: WebSocket, guest: Guest, studio: Studio) -> None:
    first = True
    while True:
        try:
            text = await websocket.receive_text()
        except (WebSocketDisconnect, KeyError, RuntimeError):
            return
        flags = _flags(text) if first else None
        first = False
        if flags is not None:
            guest.flags = flags
            await deliver(websocket, as_text("feature_flags", studio.features()))


def _flags(text: str) -> dict[str, Any] | None:
    """The feature flags of a client's frame, if that is what it is."""
    try:
        said = json.loads(text)
        is_flags = said["type"] == "feature_flags"
    except (ValueError, KeyError, TypeError):
        return None
    data = said.get("data", {})
    return data if is_flags and isinstance(data, dict) else None
