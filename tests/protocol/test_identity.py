"""When two requests are the same: comparison field by field, and fingerprints."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight_protocol.identity import (
    Comparison,
    Difference,
    canonical,
    compare,
    fingerprint,
    shown,
)
from safelight_protocol.task import Asked, Input, Resolved, Task
from tests.doubles.lives import asked, fresh, resolved

# (what the creator sent, what is asked now, the fields in conflict, the fields left open)
Case = tuple[dict[str, Any], dict[str, Any], list[str], list[str]]
COMPARED: dict[str, Case] = {
    "equal as sent": ({"seed": 7}, {"seed": 7}, [], []),
    "an alias of the same model": ({"model": "painter"}, {"model": "local/painter"}, [], []),
    "the default, spelt out": ({}, {"model": "local/painter", "n": 1}, [], []),
    "the default parameter, spelt out": ({}, {"params": {"width": 64}}, [], []),
    "another prompt": ({}, {"prompt": "a cat"}, ["prompt"], []),
    "another kind": ({}, {"kind": "video"}, ["kind"], []),
    "another model than the chosen": ({"model": "a"}, {"model": "b"}, ["model"], []),
    "another model, left open": ({}, {"model": "b"}, [], ["model"]),
    "a chosen model, now left open": ({"model": "b"}, {}, ["model"], []),
    "another size than the chosen": (
        {"params": {"width": 32}},
        {"params": {"width": 16}},
        ["params.width"],
        [],
    ),
    "another size, left open": ({}, {"params": {"width": 16}}, [], ["params.width"]),
    "a chosen size, now left open": ({"params": {"width": 16}}, {}, ["params.width"], []),
    "null left it open": (
        {"params": {"width": None}},
        {"params": {"width": 16}},
        [],
        ["params.width"],
    ),
    "null asks for nothing": ({"params": {"width": 64}}, {"params": {"width": None}}, [], []),
    "another seed than the chosen": ({"seed": 7}, {"seed": 8}, ["seed"], []),
    "a chosen seed, now left open": ({"seed": 8}, {}, ["seed"], []),
    "a seed where it was left open": ({}, {"seed": 8}, [], ["seed"]),
    "the very seed that was drawn": ({}, {"seed": 99}, [], []),
    "more of them than chosen": ({"n": 1}, {"n": 2}, ["n"], []),
    "more of them, left open": ({}, {"n": 2}, [], ["n"]),
    "a backend, left open": ({}, {"backend": "k"}, [], ["backend"]),
    "another backend": ({"backend": "j"}, {"backend": "k"}, ["backend"], []),
    "inputs where there were none": ({}, {"inputs": (Input(task="x"),)}, ["inputs"], []),
    "other inputs": (
        {"inputs": (Input(task="x"),)},
        {"inputs": (Input(artifact="x"),)},
        ["inputs"],
        [],
    ),
    "several at once": (
        {"seed": 1, "n": 1},
        {"seed": 2, "model": "b", "params": {"width": 16}},
        ["seed"],
        ["model", "params.width"],
    ),
}


def meant(request: Asked, drawn: int = 0) -> Resolved:
    """What a request is resolved to by a registry with one alias and one default size."""
    given = {name: value for name, value in request.params.items() if value is not None}
    model = {None: "local/painter", "painter": "local/painter"}.get(request.model, request.model)
    return resolved(
        requested=model,
        backend=request.backend,
        params={"width": 64, "height": 32} | given,
        seed=drawn if request.seed is None else request.seed,
        n=request.n or 1,
    )


def task_of(request: Asked) -> Task:
    """The task that a request has made; 99 was drawn if it left the seed open."""
    return fresh(asked=request, resolved=meant(request, drawn=99))


@pytest.mark.parametrize(
    ("sent", "now", "conflicts", "left_open"), COMPARED.values(), ids=list(COMPARED)
)
def test_requests_are_compared_field_by_field(
    sent: dict[str, Any], now: dict[str, Any], conflicts: list[str], left_open: list[str]
) -> None:
    """What the creator chose must agree; what he left open is listed, and no conflict."""
    request = asked(**now)
    comparison = compare(request, meant(request), task_of(asked(**sent)))
    assert [d.field for d in comparison.conflicts] == conflicts
    assert [d.field for d in comparison.open] == left_open
    assert comparison.same == (conflicts == [])


def test_a_difference_shows_both_sides() -> None:
    """What was asked, and what the task really has: its drawn seed, its default size."""
    request = asked(seed=2**63, params={"width": 16})
    comparison = compare(request, meant(request), task_of(asked()))
    assert comparison.open == (
        Difference("params.width", 16, 64),
        Difference("seed", str(2**63), 99),
    )


def test_a_seed_left_open_now_is_none() -> None:
    """Against a chosen seed an open one is shown as null, not as a number nobody chose."""
    comparison = compare(asked(), meant(asked()), task_of(asked(seed=5)))
    assert comparison.conflicts == (Difference("seed", None, 5),)


def test_who_is_lenient_only_conflicts_in_what_he_names() -> None:
    """What a lenient request leaves open agrees with what the task chose; what it names
    does not, and what the creator left open is still told."""
    task = task_of(asked(model="painter", seed=5, n=2, inputs=(Input(task="a"),)))
    assert compare(asked(), meant(asked()), task, lenient=True) == Comparison()
    named = asked(prompt="another", seed=6, params={"width": 16})
    comparison = compare(named, meant(named), task, lenient=True)
    assert [d.field for d in comparison.conflicts] == ["prompt", "seed"]
    assert [d.field for d in comparison.open] == ["params.width"]


def test_equal_as_sent_needs_no_registry() -> None:
    """The same request is the same although its model is not known any more."""
    request = asked(model="painter", params={"strange": 1}, seed=7)
    assert compare(request, None, task_of(request)) == Comparison()


@pytest.mark.parametrize("left_out", ["model", "seed", "n"])
def test_without_a_registry_open_fields_agree(left_out: str) -> None:
    """Attaching does not fail because the registry has changed: what is open agrees."""
    sent = {"model": "local/painter", "seed": 7, "n": 2}
    request = asked(**{name: value for name, value in sent.items() if name != left_out})
    assert compare(request, None, task_of(asked(**sent))) == Comparison()


def test_without_a_registry_what_is_sent_still_counts() -> None:
    """Two prompts are two requests, whatever the registry knows."""
    comparison = compare(asked(prompt="a cat"), None, task_of(asked()))
    assert [d.field for d in comparison.conflicts] == ["prompt"]


def test_what_nobody_knew_does_not_count() -> None:
    """A field that was dropped for both is no difference between them."""
    sent, request = asked(params={"vip": 1}, app=True), asked(params={"vip": 2}, app=True)
    task = fresh(asked=sent, resolved=resolved(seed=99))
    assert compare(request, resolved(seed=0), task) == Comparison()


def test_the_doors_ask_the_same() -> None:
    """The form of the body is no part of the request."""
    assert canonical(asked(app=True)) == canonical(asked())
    assert compare(asked(app=True), meant(asked(seed=3)), task_of(asked())) == Comparison()


def test_the_order_of_parameters_does_not_matter() -> None:
    """Neither at the top nor further down."""
    one = asked(params={"a": {"x": 1, "y": 2}, "b": 1})
    two = asked(params={"b": 1, "a": {"y": 2, "x": 1}})
    assert canonical(one) == canonical(two)
    assert fingerprint(one, resolved(params=one.params)) == fingerprint(
        two, resolved(params=two.params)
    )


def test_a_fingerprint_is_for_ever() -> None:
    """It is stored: the same request has the same one in every version and on every machine."""
    request = asked(seed=2**63, inputs=(Input(task="x"), Input(artifact="y")))
    assert fingerprint(asked(), meant(asked())) == (
        "0afb3641e5542b475edf4278df364a9307dbf5edb455f3482891a7c73622cc65"
    )
    assert fingerprint(request, meant(request)) == (
        "282f934cfb236b9359fd865d91b434ee15b84724557e31b75cabcd892eca50ba"
    )


LIKE: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "kind": ({"kind": "video"}, {}),
    "prompt": ({"prompt": "a cat"}, {}),
    "model": ({}, {"requested": "b"}),
    "backend": ({}, {"backend": "k"}),
    "params": ({}, {"params": {"width": 65, "height": 32}}),
    "inputs": ({"inputs": (Input(task="x"),)}, {}),
    "n": ({}, {"n": 2}),
    "seed": ({"seed": 7}, {}),
}


@pytest.mark.parametrize(("sent", "ran"), LIKE.values(), ids=list(LIKE))
def test_a_fingerprint_tells_requests_apart(sent: dict[str, Any], ran: dict[str, Any]) -> None:
    """Each part that makes a request changes it."""
    assert fingerprint(asked(**sent), resolved(**ran)) != fingerprint(asked(), resolved())


@pytest.mark.parametrize(
    "ran",
    [{"seed": 8}, {"model": "other", "substituted_for": "local/painter"}, {"provider": "acme"}],
)
def test_a_fingerprint_does_not_see_what_we_chose(ran: dict[str, Any]) -> None:
    """A drawn seed and a model that stands in are no part of the request."""
    assert fingerprint(asked(), resolved(**ran)) == fingerprint(asked(), resolved())


def test_a_chosen_seed_is_not_a_drawn_one() -> None:
    """A caller who chooses 7 and one who leaves it open ask for different things."""
    one, other = asked(seed=7), asked()
    assert fingerprint(one, meant(one)) != fingerprint(other, meant(other, drawn=7))
    assert fingerprint(one, meant(one)) != fingerprint(asked(seed=8), meant(one))


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a", '"a"'),
        (None, "null"),
        (2**70, str(2**70)),
        ({"a": [1, True]}, '{"a":[1,true]}'),
        ("é" * 100, '"' + "é" * 78 + "…"),
    ],
)
def test_values_are_shown_shortly(value: object, text: str) -> None:
    """As JSON, at most 80 characters, the last of them an ellipsis if there was more."""
    assert shown(value) == text
    assert len(shown(value)) <= 80
    assert len(shown("x" * 200, 20)) == 20


def test_a_comparison_is_a_value() -> None:
    """It travels into warnings as plain JSON."""
    assert msgspec.json.encode(Difference("n", 2, 1)) == b'{"field":"n","asked":2,"has":1}'
