"""Reading what a model takes out of Cog's schema: references, null, order."""

from __future__ import annotations

from typing import Any

from safelight.providers.replicate.schema import Shape, shape_of

COG: dict[str, Any] = {
    "components": {
        "schemas": {
            "Input": {
                "type": "object",
                "required": ["prompt", "gone"],
                "properties": {
                    "width": {
                        "allOf": [{"$ref": "#/components/schemas/width"}],
                        "default": 32,
                        "description": "Width in px",
                        "x-order": 2,
                    },
                    "prompt": {"type": "string", "title": "Prompt", "x-order": 0},
                    "image": {
                        "type": "string",
                        "format": "uri",
                        "nullable": True,
                        "default": None,
                        "x-order": 7,
                    },
                    "newer": {
                        "anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}],
                        "title": "Newer",
                    },
                    "loop": {"$ref": "#/components/schemas/loop"},
                    "lost": {"allOf": [{"$ref": "#/elsewhere"}]},
                },
            },
            "width": {"enum": [32, 64], "type": "integer", "title": "width", "description": "E"},
            "loop": {"allOf": [{"$ref": "#/components/schemas/loop"}]},
        }
    }
}


def _shape() -> Shape:
    shape = shape_of(COG)
    assert shape is not None
    return shape


def test_references_are_resolved() -> None:
    """Choices come from the schema beside; what stands at the place goes before them."""
    width = _shape().fields["width"]
    assert width["enum"] == [32, 64] and width["type"] == "integer"
    assert (width["default"], width["description"]) == (32, "Width in px")
    assert "allOf" not in width


def test_order_is_the_models() -> None:
    """Fields come in the order that the model gives them, the others behind."""
    assert list(_shape().fields)[:3] == ["prompt", "width", "image"]


def test_null_in_both_spellings() -> None:
    """What may be null says so in words of JSON Schema, however it was written."""
    fields = _shape().fields
    assert fields["image"]["type"] == ["string", "null"] and "nullable" not in fields["image"]
    assert fields["newer"]["type"] == ["integer", "null"] and fields["newer"]["minimum"] == 1


def test_what_leads_nowhere_takes_anything() -> None:
    """A reference to itself, or to nothing, comes to an end and demands nothing."""
    fields = _shape().fields
    assert "enum" not in fields["loop"] and "type" not in fields["lost"]


def test_required_names_only_what_is_there() -> None:
    """Names without a field are not demanded of anybody."""
    assert _shape().required == ("prompt",)


def test_no_document_no_shape() -> None:
    """What is no such document has no shape."""
    odd: list[Any] = [None, {}, [], {"components": {"schemas": {"Input": 3}}}, "text"]
    assert [shape_of(one) for one in odd] == [None] * 5
