"""Retired models: who answers for them, from which day on, and how it is told."""

from __future__ import annotations

import datetime
from typing import Any

import pytest

from safelight.registry import Registry, Resolution
from safelight.registry.catalog import BadCatalog, laid_over, read_catalog
from safelight_protocol.codes import Refused
from safelight_protocol.task import Asked

DAY = datetime.date(2026, 3, 1)
MODELS = """
dated = 2026-01-01
[providers.p]
label = "P"
[app.image]
model = "old"
[schemas.s.params.steps]
type = "integer"
default = 5
minimum = 1
maximum = 9
[schemas.t.params.steps]
type = "integer"
default = 2
minimum = 1
maximum = 4
"""


def row(name: str, order: int, schema: str = "t", **more: str) -> str:
    fields = {"name": name, "label": name.title(), "kind": "image", "provider": "p"}
    told = [f'{field} = "{value}"' for field, value in (fields | {"schema": schema} | more).items()]
    text = "\n".join(["[[models]]", *told, f"order = {order}", ""])
    return text.replace('"2026-03-01"', "2026-03-01").replace('"2026-03-02"', "2026-03-02")


class Clock:
    """Milliseconds since 1970, moved by hand."""

    def __init__(self, day: datetime.date) -> None:
        self.day = day

    def __call__(self) -> int:
        return (
            int(datetime.datetime.combine(self.day, datetime.time(), datetime.UTC).timestamp())
            * 1000
        )


TEXT = (
    MODELS
    + row("old", 1, "s", shutdown_date="2026-03-01", replaced_by="newer", aliases_="")
    + row("newer", 2, shutdown_date="2026-03-02", replaced_by="newest")
    + row("newest", 3)
    + row("lone", 4, shutdown_date="2026-03-01")
).replace('aliases_ = ""', 'aliases = ["older"]')


def registry(clock: Clock) -> Registry:
    return Registry(read_catalog(TEXT), frozenset({"p"}), clock=clock)


def resolve(models: Registry, **asked: Any) -> Resolution:
    return models.resolve(Asked(kind="image", prompt="p", **asked), draw_seed=lambda: 1)


def test_until_its_day_a_model_answers_for_itself() -> None:
    """The day before its shutdown nothing is said about it."""
    made = resolve(registry(Clock(DAY - datetime.timedelta(1))), model="old")
    assert (made.resolved.model, made.resolved.substituted_for) == ("old", None)
    assert made.warnings == ()


@pytest.mark.parametrize("name", ["old", "older"])
def test_from_its_day_on_its_successor_answers(name: str) -> None:
    """By name and by alias; who was asked for is told in the task, and why in a warning."""
    made = resolve(registry(Clock(DAY)), model=name)
    assert (made.resolved.requested, made.resolved.model) == ("old", "newer")
    assert made.resolved.substituted_for == "old"
    assert made.warnings == ("model: old was shut down on 2026-03-01; newer answers for it",)


def test_the_day_comes_while_the_server_runs() -> None:
    """Nothing needs to be started anew, and nothing that was remembered stays."""
    clock = Clock(DAY - datetime.timedelta(1))
    models = registry(clock)
    told = []
    for _ in range(3):
        told.append(resolve(models, model="old").resolved.model)
        clock.day += datetime.timedelta(1)
    assert told == ["old", "newer", "newest"]


def test_a_successor_takes_what_it_can() -> None:
    """Values for the old model are checked by its schema, and dropped with a warning where
    its successor does not take them."""
    models = registry(Clock(DAY))
    made = resolve(models, model="old", params={"steps": 8})
    assert made.resolved.params == {"steps": 2}
    assert "params.steps is ignored: found 8" in made.warnings[1]
    with pytest.raises(Refused, match=r"params\.steps: found 10"):
        resolve(models, model="old", params={"steps": 10})


def test_what_was_meant_may_be_retired_as_well() -> None:
    """The app's default goes to its successor; a native default passes over retired ones."""
    models = registry(Clock(DAY))
    app = resolve(models, app=True).resolved
    assert (app.model, app.substituted_for) == ("newer", "old")
    native = resolve(models).resolved
    assert (native.model, native.substituted_for) == ("newer", None)
    offered = models.offers("image")
    assert [(offer.name, offer.default) for offer in offered] == [
        ("newer", True),
        ("newest", False),
    ]


def test_a_model_that_nothing_replaces_is_refused() -> None:
    """Its date is told, and what there is instead."""
    with pytest.raises(Refused) as caught:
        resolve(registry(Clock(DAY)), model="lone")
    assert caught.value.code.name == "unknown_model"
    assert "shut down on 2026-03-01" in caught.value.message
    assert "newer" in str(caught.value.details[0]["expected"])


def test_a_retired_model_is_listed_as_such() -> None:
    """With its date and its successor, never as a default or usable."""
    listed = {model.name: model for model in registry(Clock(DAY)).models()}
    old = listed["old"]
    assert (old.retired, old.usable, old.default) == (True, False, False)
    assert (old.shutdown_date, old.replaced_by) == ("2026-03-01", "newer")
    newer = listed["newer"]
    assert (newer.retired, newer.usable, newer.default) == (False, True, True)


def test_the_schema_of_a_retired_model_is_its_successors() -> None:
    """Who asks what to send is told what will be read."""
    models = registry(Clock(DAY))
    assert models.schema("old")["x-model"] == "newer"
    with pytest.raises(Refused):
        models.schema("lone")


def test_a_repeat_over_the_day_is_the_same_request() -> None:
    """What was asked before the shutdown and again after it compares by the same model."""
    clock = Clock(DAY - datetime.timedelta(1))
    models = registry(clock)
    asked = Asked(kind="image", prompt="p", model="old")
    before = models.resolve(asked, draw_seed=lambda: 1).resolved
    clock.day = DAY
    after = models.compare_defaults(asked)
    assert after is not None
    assert after.requested == before.requested == "old"


BAD = [
    (row("x", 5, replaced_by="newer"), "models.x.replaced_by: found without shutdown_date"),
    (
        row("x", 5, shutdown_date="2026-03-01", replaced_by="newre"),
        "models.x.replaced_by: no model newre; did you mean newer",
    ),
    (
        row("newest", 5, shutdown_date="2026-03-01", replaced_by="old"),
        "models.old.replaced_by: old → newer → newest → old comes to no end",
    ),
]


@pytest.mark.parametrize(("text", "message"), BAD, ids=["no date", "no model", "a circle"])
def test_a_successor_that_cannot_be_is_refused(text: str, message: str) -> None:
    """A date is needed, a row that is there, and an end of the chain."""
    with pytest.raises(BadCatalog) as caught:
        laid_over(read_catalog(TEXT), text, "own.toml")
    assert message in str(caught.value)
