"""The part of openapi.json about named backends, providers, and what owners have chosen."""

from __future__ import annotations

from safelight_protocol.schema import Schema

from .operations import PLACE, TEXT, Operation, data, operation, refused, where

_REFRESH: Schema = {"type": "string", "enum": ["0", "1"]}
_ASKED_FIRST = "`1`: ask first, for a bounded while. Left open, the answer is from memory."


def list_backends() -> Operation:
    """GET /api/backends."""
    return operation("listBackends", "The named backends: health, models and queues") | {
        "parameters": [where("query", "refresh", _ASKED_FIRST, _REFRESH)],
        "responses": {"200": data("BackendsData", "All of them.")} | refused("invalid"),
    }


def show_backend() -> Operation:
    """GET /api/backends/{name}."""
    parameters = [
        where("path", "name", "The backend's name.", TEXT),
        where("query", "refresh", _ASKED_FIRST, _REFRESH),
    ]
    answers = {"200": data("Backend", "That one.")} | refused("invalid", "not_found")
    made = operation("getBackend", "One backend: health, models and queues")
    return made | {"parameters": parameters, "responses": answers}


def list_providers() -> Operation:
    """GET /api/providers."""
    told = "Whether each provider takes this server's key, and its places"
    return operation("listProviders", told) | {
        "responses": {"200": data("ProvidersData", "All of them, from memory.")} | refused(),
    }


def show_preferences() -> Operation:
    """GET /api/preferences."""
    return operation("getPreferences", "What the owner has chosen, for all devices") | {
        "responses": {"200": data("Preferences", "The choice.")} | refused(),
    }


def change_preferences() -> Operation:
    """PATCH /api/preferences."""
    body = {"application/json": {"schema": {"$ref": PLACE + "PreferencesChange"}}}
    codes = ("invalid", "unknown_backend", "too_large", "unavailable", "storage_full")
    return operation("changePreferences", "Choose for all devices; what is left out stays") | {
        "requestBody": {"required": True, "content": body},
        "responses": {"200": data("Preferences", "The choice from now on.")} | refused(*codes),
    }
