"""Parameters: every value checked, in one form, and a size by one rule."""

from __future__ import annotations

import gc
from typing import Any

import pytest

from safelight.registry.catalog import read_catalog
from safelight.registry.params import (
    MOST_SCHEMAS,
    Param,
    Schema,
    drop_unfit,
    drop_unknown,
    read_params,
)
from safelight_protocol.codes import Refused

PICTURE = read_catalog().schemas["picture"]


def read(params: dict[str, Any], schema: Schema = PICTURE) -> dict[str, Any]:
    return read_params(params, schema)


def details(params: dict[str, Any], schema: Schema = PICTURE) -> list[dict[str, object]]:
    """What a refusal of these says; it is one of `invalid`."""
    with pytest.raises(Refused) as caught:
        read(params, schema)
    assert caught.value.code.name == "invalid"
    return caught.value.details


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({}, (768, 768, "1:1")),
        ({"aspect_ratio": "4:3"}, (768, 576, "4:3")),
        ({"aspect_ratio": "3:4"}, (576, 768, "3:4")),
        ({"aspect_ratio": "16:9"}, (768, 432, "16:9")),
        ({"aspect_ratio": "9:16"}, (432, 768, "9:16")),
        ({"aspect_ratio": "3:2"}, (768, 512, "3:2")),
        ({"aspect_ratio": "2:3"}, (512, 768, "2:3")),
        ({"aspect_ratio": "8:6"}, (768, 576, "4:3")),
        ({"aspect_ratio": "5:7"}, (552, 768, "23:32")),
        ({"aspect_ratio": "4:1"}, (1024, 256, "4:1")),
        ({"aspect_ratio": "1:8"}, (256, 2048, "1:8")),
        ({"width": 512}, (512, 512, "1:1")),
        ({"height": 513}, (513, 513, "1:1")),
        ({"width": 1024, "aspect_ratio": "4:3"}, (1024, 768, "4:3")),
        ({"height": 1024, "aspect_ratio": "9:16"}, (576, 1024, "9:16")),
        ({"width": 700, "aspect_ratio": "16:9"}, (700, 392, "25:14")),
        ({"width": 300, "height": 900, "aspect_ratio": "4:3"}, (300, 900, "1:3")),
        ({"width": 512.0, "height": None}, (512, 512, "1:1")),
    ],
)
def test_a_size_comes_about_by_one_rule(
    params: dict[str, Any], expected: tuple[int, int, str]
) -> None:
    """Both sides win over the ratio, one side follows it, none follows the default side."""
    made = read(params)
    assert (made["width"], made["height"], made["aspect_ratio"]) == expected


@pytest.mark.parametrize("ratio", [f"{a}:{b}" for a in (1, 3, 7, 8) for b in (1, 2, 5, 8)])
def test_equal_pictures_have_equal_params(ratio: str) -> None:
    """A size asked for by ratio and the same one asked for in pixels are one request."""
    by_ratio = read({"aspect_ratio": ratio})
    sides = {name: by_ratio[name] for name in ("width", "height")}
    assert read(sides) == by_ratio


@pytest.mark.parametrize(
    ("params", "field"),
    [
        ({"width": 255}, "params.width"),
        ({"height": 2049}, "params.height"),
        ({"width": "512"}, "params.width"),
        ({"width": True}, "params.width"),
        ({"width": 512.5}, "params.width"),
        ({"width": 2048, "aspect_ratio": "9:16"}, "params.width"),
        ({"height": 300, "aspect_ratio": "9:16"}, "params.height"),
        ({"aspect_ratio": "9:1"}, "params.aspect_ratio"),
        ({"aspect_ratio": "banana"}, "params.aspect_ratio"),
        ({"aspect_ratio": "0:1"}, "params.aspect_ratio"),
        ({"aspect_ratio": "4:3\n"}, "params.aspect_ratio"),
        ({"aspect_ratio": 1}, "params.aspect_ratio"),
        ({"steps": 0}, "params.steps"),
        ({"strength": 1.01}, "params.strength"),
        ({"strength": float("nan")}, "params.strength"),
        ({"steps": 10**400}, "params.steps"),
        ({"negative_prompt": "x" * 20001}, "params.negative_prompt"),
        ({"negative_prompt": 5}, "params.negative_prompt"),
        ({"stepz": 5}, "params.stepz"),
        ({"stepz": None}, "params.stepz"),
        ({str(n): n for n in range(101)}, "params"),
    ],
    ids=str,
)
def test_a_wrong_parameter_is_named(params: dict[str, Any], field: str) -> None:
    """Wrong values and unknown names are refused with field, found and expected."""
    (detail,) = details(params)
    assert detail["field"] == field
    assert detail["found"]
    assert detail["expected"]


def test_every_wrong_parameter_is_named_at_once() -> None:
    """All problems are told, and for an unknown name the one that was meant."""
    told = details({"stepz": 5, "width": 3, "strength": "x"})
    assert [detail["field"] for detail in told] == [
        "params.width",
        "params.strength",
        "params.stepz",
    ]
    assert "did you mean steps?" in str(told[2]["expected"])


def test_numbers_have_one_form() -> None:
    """20 and 20.0 are one number, whatever the schema calls it."""
    loose = read({"steps": 20.0, "strength": 1})
    strict = read({"steps": 20, "strength": 1.0})
    assert repr(loose) == repr(strict)


WORDS = Schema(
    params={
        "quality": Param("string", enum=("low", "high"), default="low"),
        "camera_fixed": Param("boolean"),
        "seconds": Param("number"),
        "note": Param("string", max_length=3),
        "name": Param("string"),
        "side": Param("integer", minimum=64, maximum=512, multiple_of=8),
        "least": Param("number", minimum=1.5),
        "most": Param("integer", maximum=9),
        "extra": Param("object", max_bytes=20),
    }
)


def test_every_word_of_a_schema_is_kept_to() -> None:
    """Lists of values, switches and numbers without bounds are read as they are."""
    given = {"quality": "high", "camera_fixed": False, "seconds": -1e300, "note": ""}
    assert read(given, WORDS) == given
    assert read({}, WORDS) == {"quality": "low"}
    assert read({"side": 72.0, "most": -5, "extra": {"a": [1]}}, WORDS) == {
        "quality": "low",
        "side": 72,
        "most": -5,
        "extra": {"a": [1]},
    }


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("quality", "medium", "one of low, high"),
        ("quality", ["low"], "one of low, high"),
        ("camera_fixed", 0, "true or false"),
        ("seconds", "5", "a number"),
        ("seconds", float("inf"), "a number"),
        ("seconds", 10**400, "a number"),
        ("least", 10**400, "a number of 1.5 or more"),
        ("note", "four", "a string of at most 3 characters"),
        ("name", 5, "a string"),
        ("quality", "hihg", "one of low, high; near it: high"),
        ("side", 65, "an integer from 64 to 512, a multiple of 8"),
        ("side", 72.5, "an integer from 64 to 512, a multiple of 8"),
        ("least", 0, "a number of 1.5 or more"),
        ("most", 10, "an integer of 9 or less"),
        ("extra", [], "an object"),
        ("extra", {"a": "x" * 20}, "an object of at most 20 bytes as JSON"),
    ],
)
def test_a_refusal_says_what_the_schema_says(name: str, value: Any, expected: str) -> None:
    """What is expected is told in the words of the schema."""
    (detail,) = details({name: value}, WORDS)
    assert detail["expected"] == expected


def test_schemas_of_days_gone_by_are_let_go() -> None:
    """Models have new schemas each day; how their parameters are read is kept of some."""
    for _ in range(3 * MOST_SCHEMAS):
        read({"a": 1}, Schema(params={"a": Param("integer")}))
    gc.collect()
    kept = [one for one in gc.get_objects() if isinstance(one, Schema) and "a" in one.params]
    assert len(kept) <= MOST_SCHEMAS


def test_an_open_schema_hands_on_what_it_does_not_know() -> None:
    """Unknown parameters of an open schema stay as they are; known ones are checked."""
    schema = Schema(params={"steps": Param("integer", minimum=1, maximum=5)}, open=True)
    assert read({"steps": 2.0, "params.x": [1], "off": None}, schema) == {
        "steps": 2,
        "params.x": [1],
    }
    assert details({"steps": 9}, schema)[0]["field"] == "params.steps"


def test_what_is_dropped_is_told() -> None:
    """Unknown names are dropped with a warning each, unfit values too if that is wished."""
    given = {"steps": 0, "strength": 0.5, "x": 1, "y": None}
    known, warnings = drop_unknown(given, PICTURE, where="")
    assert known == {"steps": 0, "strength": 0.5}
    assert warnings == ["x is ignored: there is no such parameter"]
    fit, warnings = drop_unfit(given, PICTURE, where="params.")
    assert fit == {"strength": 0.5}
    assert warnings == [
        "params.x is ignored: there is no such parameter",
        "params.steps is ignored: found 0, expected an integer from 1 to 100",
    ]


def test_values_that_do_not_fit_together_are_dropped_one_by_one() -> None:
    """A ratio that a given width cannot have is dropped, the width stays."""
    fit, warnings = drop_unfit({"width": 2048, "aspect_ratio": "9:16"}, PICTURE, where="")
    assert fit == {"width": 2048}
    assert len(warnings) == 1


@pytest.mark.parametrize("drop", [drop_unknown, drop_unfit])
def test_too_many_parameters_are_refused_before_each_is_looked_at(drop: Any) -> None:
    """More parameters than any model has are refused as a whole."""
    with pytest.raises(Refused, match="101 parameters"):
        drop({str(n): n for n in range(101)}, PICTURE, where="")


@pytest.mark.parametrize("name", ["seed", "prompt", "model", "backend", "n"])
def test_what_belongs_beside_the_parameters_is_sent_there(name: str) -> None:
    """A field of the body that was put among the parameters is refused with its place."""
    (detail,) = details({name: -1})
    assert f"did you mean {name}, beside params?" in str(detail["expected"])


GRAPH = Schema(
    params={"workflow": Param("object", format="comfyui-graph", max_bytes=1000)},
    required=("workflow",),
)
NODE = {"class_type": "KSampler", "inputs": {"seed": 5}}


def test_a_graph_is_taken_as_it_is() -> None:
    """Nodes by id, in API format, with whatever they hold."""
    graph = {"3": NODE, "9": {"class_type": "X", "inputs": {"a": ["3", 0]}, "_meta": {}}}
    assert read({"workflow": graph}, GRAPH) == {"workflow": graph}


@pytest.mark.parametrize(
    ("graph", "field", "expected"),
    [
        ({"nodes": [], "links": [], "version": 0.4}, "", "Workflow > Export (API)"),
        ({"prompt": {"3": NODE}}, "", "which here lie inside `prompt`"),
        ({}, "", "at least one node"),
        ({"3": NODE, "4": {"class_type": "X"}}, ".4", "a node such as"),
        ({"3": []}, ".3", "a node such as"),
        ({"3": {"class_type": "X", "inputs": {"seed": -1}}}, ".3.inputs.seed", "from 0 to 184"),
        ({"3": {"class_type": "X", "inputs": {"noise_seed": 2**64}}}, ".3.inputs.noise_seed", "0"),
        ([NODE], "", "an object"),
        ({"3": {"class_type": "X", "inputs": {"a": "x" * 1000}}}, "", "at most 1000 bytes"),
    ],
    ids=str,
)
def test_what_is_no_graph_is_refused_with_what_to_do(graph: Any, field: str, expected: str) -> None:
    """The editor's own form, a wrapped graph, half a node and a seed that only the editor
    understands: each is led to what is wrong, and shortly."""
    (detail,) = details({"workflow": graph}, GRAPH)
    assert detail["field"] == f"params.workflow{field}"
    assert expected in str(detail["expected"])
    assert len(str(detail["found"])) <= 80


def test_what_is_required_must_be_there() -> None:
    """Left out or null, it was found as nothing; to be compared it may be absent."""
    for given in ({}, {"workflow": None}):
        assert details(given, GRAPH)[0]["found"] == "nothing"
    assert read_params({}, GRAPH, partly=True) == {}


def test_a_stand_in_with_something_required_still_takes_the_rest() -> None:
    """What fits is kept, and what is missing is told once, when all of it is read."""
    schema = Schema(params=GRAPH.params | {"steps": Param("integer")}, required=("workflow",))
    assert drop_unfit({"steps": 3, "x": 1}, schema, where="") == (
        {"steps": 3},
        ["x is ignored: there is no such parameter"],
    )


SIZES = read_catalog().schemas["comfyui_image"]


@pytest.mark.parametrize(
    ("params", "size"),
    [
        ({}, (768, 768)),
        ({"aspect_ratio": "4:3"}, (768, 576)),
        ({"width": 520, "aspect_ratio": "4:3"}, (520, 392)),
        ({"height": 1000, "aspect_ratio": "3:5"}, (600, 1000)),
    ],
)
def test_a_computed_side_is_a_multiple_where_it_must_be(
    params: dict[str, Any], size: tuple[int, int]
) -> None:
    """Where a backend would cut the size down, it is chosen so that nothing is cut."""
    made = read(params, SIZES)
    assert (made["width"], made["height"]) == size
    assert details({"width": 513}, SIZES)[0]["expected"] == (
        "an integer from 64 to 4096, a multiple of 8"
    )
