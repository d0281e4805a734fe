"""The part of openapi.json about models: what can be asked for, and with what."""

from __future__ import annotations

from safelight_protocol.schema import Schema

from .operations import PLACE, TEXT, Operation, answered, data, operation, refused, where

_SCHEMA: Schema = {
    "type": "object",
    "description": "A document of JSON Schema 2020-12. `x-model` is the model's name, `x-kind`"
    " its kind, and `x-order` the place of a parameter in a form.",
    "required": ["$schema", "title", "type", "properties", "required", "additionalProperties"],
    "properties": {
        "$schema": TEXT,
        "title": TEXT,
        "type": {"const": "object"},
        "properties": {"type": "object"},
        "required": {"type": "array", "items": TEXT},
        "additionalProperties": {"type": "boolean"},
    },
}


def list_models() -> Operation:
    """GET /api/models."""
    kind = where("query", "kind", "Only models of this kind.", {"$ref": PLACE + "Kind"})
    return operation("listModels", "What can be asked for, and with which parameters") | {
        "parameters": [kind],
        "responses": {"200": data("ModelsData", "The models.")} | refused("invalid"),
    }


def model_schema() -> Operation:
    """GET /api/models/{name}/schema."""
    name = where("path", "name", "The model's name or alias; its slashes may stay.", TEXT)
    return operation("getModelSchema", "What a model takes as `params`, as JSON Schema") | {
        "parameters": [name],
        "responses": {"200": answered(_SCHEMA, "The schema.")} | refused("not_found"),
    }


def list_offers() -> Operation:
    """GET /api/llm/models."""
    return operation("listTextModels", "The text models that may be named, for people") | {
        "responses": {"200": data("OffersData", "The models.")} | refused(),
    }
