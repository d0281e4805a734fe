"""Refusals as documents. Signatures first; bodies follow."""

from __future__ import annotations

from typing import Any

from safelight_protocol.codes import Refused
from starlette.requests import HTTPConnection
from starlette.responses import Response


def mark_app_form(request: HTTPConnection) -> None:
    """From here on, errors of this request use the deployed app's codes and details."""


def problem(refused: Refused, *, app: bool = False) -> Response: ...


def error_body(refused: Refused, *, app: bool = False) -> dict[str, Any]:
    """`{code, message, details}`: the `error` member, also of image_response and llm_response."""


def socket_error(refused: Refused) -> dict[str, Any]:
    """`{reason, code, message, details, …extra}`."""


HANDLERS: dict[Any, Any] = {}
"""For Starlette(exception_handlers=HANDLERS)."""
