"""The part of openapi.json about webhooks that come in: what providers tell us."""

from __future__ import annotations

from safelight_protocol.schema import Schema

from .operations import TEXT, Operation, answered, operation, refused, where

_NOTHING: Schema = {"type": "object", "maxProperties": 0}


def take() -> Operation:
    """POST /api/webhooks/{provider}. Its signature is its only credential."""
    told = "What the provider says; its form is the provider's. Signed as Standard Webhooks 1.0.0."
    codes = ("not_found", "too_large", "shutting_down", "provider_unreachable")
    return operation("takeWebhook", "A provider tells how a prediction is", open_to_all=True) | {
        "parameters": [
            where("path", "provider", "Its name in the settings.", TEXT),
            where("query", "task", "Whose prediction it is, as we told the provider.", TEXT),
            where("query", "attempt", "Which attempt of it.", TEXT),
            where("header", "webhook-id", "The same when it is sent again.", TEXT),
            where("header", "webhook-timestamp", "When it was sent, in seconds.", TEXT),
            where("header", "webhook-signature", "One or more of `v1,<base64>`.", TEXT),
        ],
        "requestBody": {
            "required": True,
            "description": told,
            "content": {"application/json": {"schema": {}}},
        },
        "responses": {"200": answered(_NOTHING, "It was taken, or had been before.")}
        | refused(*codes),
    }
