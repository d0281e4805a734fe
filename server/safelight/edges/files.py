"""Downloads. Signatures first; bodies follow."""

from __future__ import annotations

from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response


async def artifact_response(
    request: Request, path: Path, media_type: str, sha256: str, *, filename: str | None = None
) -> Response:
    """Raises Refused not_found (file gone) or range_not_satisfiable."""
