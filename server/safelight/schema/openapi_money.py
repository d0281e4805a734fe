"""The part of openapi.json about money: quotes, and what was spent."""

from __future__ import annotations

from typing import Any

from safelight_protocol.schema import Schema

from .operations import CREATE_CODES, Operation, data, operation, refused, where

_DAY: Schema = {"type": "string", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}


def quote(body: dict[str, Any]) -> Operation:
    """POST /api/quotes, whose body is that of a create."""
    key = {"type": "string", "minLength": 1, "maxLength": 255}
    problems = refused(*CREATE_CODES, app=True)
    found = data("Quote", "What a create of this would cost. Nothing was made.")
    return operation("quoteTask", "What a create would cost, and whether it is agreed to") | {
        "parameters": [where("header", "Idempotency-Key", "As with the create itself.", key)],
        "requestBody": {"required": True, "content": body},
        "responses": {"200": found} | problems,
    }


def usage() -> Operation:
    """GET /api/usage."""
    entries = {"type": "string", "enum": ["0", "1"]}
    limit = {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}
    before = {"type": "integer", "minimum": 0}
    return operation("getUsage", "What was spent: by day, by model, and line by line") | {
        "parameters": [
            where("query", "from", "The first day (UTC); 29 days before the last.", _DAY),
            where("query", "to", "The last day (UTC); today.", _DAY),
            where("query", "entries", "`1`: with a page of the ledger.", entries),
            where("query", "limit", "Lines of a page, at most.", limit),
            where("query", "before", "The `next` of the page before.", before),
        ],
        "responses": {"200": data("Usage", "The sums.")} | refused("invalid"),
    }
