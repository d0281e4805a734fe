"""Reading an object field by field: every problem is named, found and expected."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from safelight_protocol.codes import Refused
from safelight_protocol.fields import (
    MAX_NAMED,
    MAX_PROMPT,
    MAX_SEED,
    Field,
    Wrong,
    invalid,
    one_of,
    read_object,
    read_prompt,
    read_seed,
    typed,
)

SIZE = Field(typed(int, "an integer"))
NAME = Field(typed(str, "a string"), required=True)
FIELDS = {"name": NAME, "size": SIZE}


def refusal(body: Any, **options: Any) -> Refused:
    """The refusal of an object with the two fields."""
    with pytest.raises(Refused) as refused:
        read_object(body, FIELDS, **options)
    assert refused.value.code.name == "invalid"
    return refused.value


def test_an_object_is_read() -> None:
    """Known fields come back as read; what was not sent is not there."""
    assert read_object({"name": "a", "size": 3}, FIELDS) == ({"name": "a", "size": 3}, [])
    assert read_object({"name": "a"}, FIELDS) == ({"name": "a"}, [])


@pytest.mark.parametrize("body", [None, [], "x", 1, True, [1, 2]])
def test_what_is_no_object_is_refused(body: Any) -> None:
    """The body as a whole, or the part of it that `where` names, must be an object."""
    assert refusal(body).details[0] == {
        "field": "body",
        "found": msgspec.json.encode(body).decode(),
        "expected": "an object",
    }
    assert refusal(body, where="create.").details[0]["field"] == "create"


def test_every_problem_is_told() -> None:
    """Two wrong fields and an unknown one are three details, and the message tells the first."""
    refused = refusal({"name": 5, "size": "x", "colour": 1}, where="create.")
    assert refused.details == [
        {"field": "create.name", "found": "5", "expected": "a string"},
        {"field": "create.size", "found": '"x"', "expected": "an integer"},
        {
            "field": "create.colour",
            "found": "1",
            "expected": "no such field (known: name, size)",
        },
    ]
    assert refused.message == "create.name: found 5, expected a string (2 more)"


def test_what_is_missing_was_found_as_nothing() -> None:
    """A required field that was not sent differs from one that is null."""
    assert refusal({}).details == [{"field": "name", "found": "nothing", "expected": "a string"}]
    assert refusal({"name": None}).details[0]["found"] == "null"
    assert refusal({}).message == "name: found nothing, expected a string"


def test_a_slip_of_the_pen_is_recognized() -> None:
    """An unknown field close to a known one brings a question."""
    expected = refusal({"name": "a", "sise": 1}).details[0]["expected"]
    assert expected == "no such field; did you mean size? (known: name, size)"


def test_lenient_doors_list_what_they_ignore() -> None:
    """Where unknown fields are ignored their names come back, with their place."""
    read = read_object({"name": "a", "x": 1, "y": 2}, FIELDS, where="in.", strict=False)
    assert read == ({"name": "a"}, ["in.x", "in.y"])
    assert [d["field"] for d in refusal({"x": 1}, strict=False).details] == ["name"]


@pytest.mark.parametrize("value", ["x" * 10_000, ["x"] * 5_000, {"a": "x" * 9_000}, "é" * 9_000])
def test_what_was_found_is_shown_shortly(value: Any) -> None:
    """However large the value or the name of a field, at most 80 characters of it are shown."""
    refused = refusal({"name": "a", "size": value, "n" * 10_000: value})
    assert len(refused.details) == 2
    for detail in refused.details:
        assert len(str(detail["found"])) <= 80
        assert len(str(detail["field"])) <= 80


def test_a_flood_of_unknown_fields_is_answered_shortly() -> None:
    """Only the first unknown fields are named: the answer stays small, and soon made."""
    body = {f"unknown{n}": n for n in range(50_000)}
    assert len(refusal({"name": "a", **body}).details) == MAX_NAMED


SAMPLERS = (*(f"sampler_{n}" for n in range(20)), "euler", "euler_ancestral", "dpmpp_2m", "ddim")


@pytest.mark.parametrize(
    ("found", "near"),
    [
        ("eular", "near it: euler"),
        ("EULER", "near it: euler, euler_ancestral"),
        ("ancestral", "near it: euler_ancestral"),
        ("dpmpp2m", "near it: dpmpp_2m"),
    ],
)
def test_the_nearest_allowed_values_are_named(found: str, near: str) -> None:
    """Of many allowed values some are listed, and those that may have been meant beside
    them, whatever the case and also where only a part was given."""
    told = one_of(found, SAMPLERS)
    assert told.startswith("one of sampler_0, sampler_1, ")
    assert "… (24 in all); " in told
    assert told.endswith(near)


@pytest.mark.parametrize("found", ["§§§§", "", 5, None, ["euler"], "x" * 100_000])
def test_where_nothing_is_near_nothing_is_guessed(found: Any) -> None:
    """The list stands alone, whole if it is short; and where it is empty, that is said."""
    assert one_of(found, ("low", "high")) == "one of low, high"
    assert "there is none to choose from" in one_of(found, ())


def test_a_part_of_a_value_can_be_wrong() -> None:
    """A reader can blame what lies inside a field: the detail leads there."""

    def read(value: Any) -> Any:
        raise Wrong("0 or more", at="3.inputs.seed", found=-1)

    with pytest.raises(Refused) as refused:
        read_object({"graph": {"3": {}}}, {"graph": Field(read)}, where="params.")
    assert refused.value.details == [
        {"field": "params.graph.3.inputs.seed", "found": "-1", "expected": "0 or more"}
    ]


def test_a_refusal_is_made_of_its_problems() -> None:
    """One problem is told whole, of several the first and the number of the others."""
    one: dict[str, object] = {"field": "n", "found": "9", "expected": "less"}
    assert invalid([one]).message == "n: found 9, expected less"
    assert invalid([one, one, one]).message == "n: found 9, expected less (2 more)"


@pytest.mark.parametrize("value", [True, 1.0, 1.5, "1", None, [1]])
def test_types_are_not_bent(value: Any) -> None:
    """Neither strings nor booleans nor floats pass for integers."""
    with pytest.raises(Wrong, match=r"^an integer$"):
        typed(int, "an integer")(value)


@pytest.mark.parametrize("value", ["", " ", "\n\t\u2003", "x" * (MAX_PROMPT + 1), None, 5, ["a"]])
def test_a_prompt_has_something_to_say(value: Any) -> None:
    """Neither nothing, nor blanks, nor a book, nor anything but a string."""
    with pytest.raises(Wrong, match="1 to 20000 characters"):
        read_prompt(value)


@pytest.mark.parametrize("value", ["x", " a ", "x" * MAX_PROMPT, "\u0000a", "𝄞"])
def test_a_prompt_is_left_as_it_is(value: str) -> None:
    """Not a character of it is changed."""
    assert read_prompt(value) == value


@pytest.mark.parametrize(
    ("value", "seed"),
    [
        (0, 0),
        ("0", 0),
        ("007", 7),
        (2**53 + 1, 2**53 + 1),
        (str(2**53 + 1), 2**53 + 1),
        (2**63, 2**63),
        (str(2**63), 2**63),
        (MAX_SEED, MAX_SEED),
        (str(MAX_SEED), MAX_SEED),
        (None, None),
    ],
)
def test_seeds_are_read_exactly(value: Any, seed: int | None) -> None:
    """Numbers and decimal strings over the whole range of 64 bits; null leaves it to us."""
    assert read_seed(value) == seed


@pytest.mark.parametrize(
    "value",
    [
        *(
            -1,
            "-1",
            2**64,
            str(2**64),
            "9" * 5_000,
            "abc",
            "",
            " 7",
            "7.0",
            "0x7",
            "٣",
            "1e3",
            "+7",
        ),
        *(True, False, 1.5, 1.0, float("inf"), [7], {"seed": 7}),
    ],
)
def test_other_seeds_are_refused(value: Any) -> None:
    """What is no integer in the range is refused with the range, and how to get a random one."""
    with pytest.raises(Wrong, match=r"0 to 18446744073709551615.*null for a random one"):
        read_seed(value)


@given(st.integers(min_value=0, max_value=MAX_SEED))
def test_every_seed_survives_json(seed: int) -> None:
    """Sent as a number or as a string, any seed is read as what it was."""
    assert read_seed(msgspec.json.decode(msgspec.json.encode(seed))) == seed
    assert read_seed(str(seed)) == seed


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=3,
)


@settings(max_examples=40)
@given(st.dictionaries(st.sampled_from(["name", "size", "nam"]), JSON), st.booleans())
def test_any_object_is_read_or_refused(body: dict[str, Any], strict: bool) -> None:
    """Nothing that JSON can say gets past the readers, or makes them fail otherwise."""
    try:
        values, _ = read_object(body, FIELDS, strict=strict)
    except Refused as refused:
        assert refused.details
    else:
        assert isinstance(values["name"], str) and isinstance(values.get("size", 0), int)
