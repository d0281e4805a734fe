"""Reading what was asked, where all providers are asked alike: a JSON object in a POST.

And what a request carried beside its task, which the log keeps as the marks of the run: it
is how tests tell which attempt of which task a run was.
"""

from __future__ import annotations

import json
from typing import Any

from starlette.requests import Request

MOST_BYTES = 64 * 1024 * 1024
MOST_TOLD = 200
SDK_HEADERS = ("x-stainless-", "x-api-key", "x-goog-", "x-forwarded-", "x-server-timeout")


def object_in(content: bytes) -> dict[str, Any] | None:
    """The JSON object that this is; None if it is none."""
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def marks(request: Request, prompt: str, **more: object) -> dict[str, object]:
    """The path, the start of the prompt, headers that are nobody's standard, and `more` of
    what the body carried, where it is anything."""
    told: dict[str, object] = {"path": request.url.path, "prompt": prompt[:MOST_TOLD]}
    headers = {
        name: value
        for name, value in request.headers.items()
        if name == "idempotency-key" or (name.startswith("x-") and not name.startswith(SDK_HEADERS))
    }
    told |= {name: value for name, value in more.items() if value}
    return told | ({"headers": headers} if headers else {})
