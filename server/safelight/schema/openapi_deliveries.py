"""The part of openapi.json about webhooks that go out: what became of them, and the secret."""

from __future__ import annotations

from safelight_protocol.schema import Schema

from .operations import TEXT, Operation, data, operation, refused, where


def deliveries() -> dict[str, dict[str, Operation]]:
    """Every path, with its operations."""
    return {
        "/api/deliveries": {"get": _list()},
        "/api/deliveries/{id}": {"delete": _delete()},
        "/api/deliveries/{id}/retry": {"post": _retry()},
        "/api/webhook-secret": {"get": _secret(), "post": _change()},
    }


def _list() -> Operation:
    states: Schema = {"type": "string", "enum": ["dead", "waiting"], "default": "dead"}
    limit: Schema = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    return operation("listDeliveries", "Webhooks that nobody took, or that wait") | {
        "parameters": [
            where("query", "state", "Which of them.", states),
            where("query", "limit", "How many, at most.", limit),
            where("query", "before", "The `next` of the page before.", TEXT),
        ],
        "responses": {"200": data("DeliveryPage", "The newest first.")} | refused("invalid"),
    }


def _delete() -> Operation:
    return operation("deleteDelivery", "Forget a webhook that nobody took") | {
        "parameters": [_ID],
        "responses": {"200": data("DeliveryMoved", "Forgotten.")} | refused("not_found"),
    }


def _retry() -> Operation:
    return operation("retryDelivery", "Try a webhook again that nobody took") | {
        "parameters": [_ID],
        "responses": {"202": data("DeliveryMoved", "It is tried.")} | refused("not_found"),
    }


def _secret() -> Operation:
    return operation("getWebhookSecret", "What webhooks are signed with") | {
        "responses": {"200": data("WebhookSecret", "The secret.")} | refused("unavailable"),
    }


def _change() -> Operation:
    told = "Another secret; the one before signs beside it for a day."
    return operation("changeWebhookSecret", "Sign webhooks with another secret") | {
        "responses": {"200": data("WebhookSecret", told)} | refused("unavailable"),
    }


_ID = where("path", "id", "The `webhook-id`.", TEXT)
