"""The Studio's files. Signatures first; bodies follow."""

from __future__ import annotations

from starlette.routing import Route


def studio_routes() -> list[Route]:
    """`/` and `/studio/{path}`, GET and HEAD."""
