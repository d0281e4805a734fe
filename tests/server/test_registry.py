"""The registry: defaults, names, stand-ins, and what is told about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from safelight.registry import Registry, Resolution
from safelight_protocol.codes import Refused
from safelight_protocol.events import Kind
from safelight_protocol.task import Asked, Resolved

FIRST_RUN = Registry.load(frozenset({"local"}))
WITH_REMOTE = Registry.load(frozenset({"local", "replicate"}))


def never() -> int:
    raise AssertionError("a seed was drawn")


def resolve(registry: Registry = FIRST_RUN, **asked: Any) -> Resolution:
    draw: Callable[[], int] = never if "seed" in asked else lambda: 7
    return registry.resolve(Asked(**{"kind": "image", "prompt": "p"} | asked), draw_seed=draw)


def refused(registry: Registry = FIRST_RUN, **asked: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        resolve(registry, **asked)
    return caught.value


def size(params: dict[str, Any], **asked: Any) -> tuple[int, int, str]:
    made = resolve(params=params, **asked).resolved.params
    return made["width"], made["height"], made["aspect_ratio"]


@pytest.mark.parametrize(
    ("kind", "model"), [("image", "local/paint"), ("video", "local/clip"), ("text", "local/prose")]
)
def test_a_native_body_gets_the_first_usable_model(kind: Kind, model: str) -> None:
    """A native body that names no model runs on the first usable one of its kind."""
    resolution = resolve(kind=kind)
    assert resolution.resolved.requested == resolution.resolved.model == model
    assert resolution.resolved.substituted_for is None
    assert resolution.warnings == ()


@pytest.mark.parametrize(
    ("kind", "meant", "runs"),
    [
        ("image", "google/imagen-4-fast", "local/paint"),
        ("video", "bytedance/seedance-1-pro", "local/clip"),
        ("text", "gemini-2.5-flash-lite", "local/prose"),
    ],
)
def test_the_app_means_its_own_models(kind: Kind, meant: str, runs: str) -> None:
    """The app's body means the app's default; what stands in for it is told."""
    resolved = resolve(kind=kind, app=True).resolved
    assert (resolved.requested, resolved.model) == (meant, runs)
    assert resolved.substituted_for == meant


def test_a_configured_default_runs_itself() -> None:
    """An implied model that is usable is not replaced."""
    resolved = resolve(WITH_REMOTE, app=True).resolved
    assert (resolved.model, resolved.provider) == ("google/imagen-4-fast", "replicate")
    assert resolved.substituted_for is None
    assert resolved.params == {"aspect_ratio": "4:3"}


def test_an_implied_default_may_be_replaced_where_a_named_model_may_not() -> None:
    """With a remote provider configured, only a model that nobody named is swapped."""
    implied = resolve(WITH_REMOTE, kind="text", app=True).resolved
    assert (implied.model, implied.substituted_for) == ("local/prose", "gemini-2.5-flash-lite")
    for app in (True, False):
        answer = refused(WITH_REMOTE, kind="text", model="gpt-4.1", app=app)
        assert answer.code.name == "provider_not_configured"
        assert "OpenAI" in answer.message
        assert answer.details == [
            {"field": "model", "found": "gpt-4.1", "expected": "one of: local/prose"}
        ]


def test_on_a_first_run_a_built_in_model_stands_in() -> None:
    """With no remote provider at all, a named remote model is played by a local one."""
    resolved = resolve(model="bytedance/seedream-3").resolved
    assert (resolved.requested, resolved.model) == ("bytedance/seedream-3", "local/paint")
    assert resolved.substituted_for == "bytedance/seedream-3"


def test_nothing_usable_is_said_plainly() -> None:
    """Without any usable model of a kind the refusal asks for a provider."""
    empty = Registry.load(frozenset())
    for app in (True, False):
        assert refused(empty, app=app).code.name == "provider_not_configured"


def test_an_alias_is_the_model() -> None:
    """A name and its alias mean one model, and only the name is recorded."""
    resolved = resolve(model="imagen-4-fast").resolved
    assert resolved.requested == resolved.substituted_for == "google/imagen-4-fast"
    assert resolve(model="slow").resolved.substituted_for is None


@pytest.mark.parametrize(
    ("asked", "near"),
    [
        ("bytedance/seedream-4", "bytedance/seedream-3"),
        ("imagen-4", "google/imagen-4-fast"),
        ("local/paints", "local/paint"),
    ],
)
def test_an_unknown_model_is_refused_with_its_neighbours(asked: str, near: str) -> None:
    """An unknown name is refused and the nearest names of its kind are told."""
    answer = refused(model=asked)
    assert answer.code.name == "unknown_model"
    assert answer.details[0]["field"] == "model"
    assert near in str(answer.details[0]["expected"])
    assert "seedance" not in answer.message


def test_a_name_like_no_other_is_answered_with_the_list() -> None:
    """Where nothing is near, the models of the kind are listed."""
    assert "one of: local/prose, gemini" in refused(kind="text", model="§").message


def test_a_model_of_another_kind_is_refused() -> None:
    """A model that makes something else than asked for is refused as invalid."""
    answer = refused(kind="text", model="local/paint")
    assert answer.code.name == "invalid"
    assert answer.details[0]["field"] == "model"
    assert "of kind image" in str(answer.details[0]["found"])


def test_scripted_models_are_there_only_if_configured() -> None:
    """A hidden provider's models are neither listed nor known unless it is configured."""
    scripted = Registry.load(frozenset({"local", "scripted"}))
    assert not FIRST_RUN.has_model("scripted/image")
    assert refused(model="scripted/image").code.name == "unknown_model"
    assert scripted.has_model("scripted/image")
    script = [{"say": 1}]
    made = resolve(scripted, model="scripted/image", params={"script": script, "x": None})
    assert made.resolved.params == {"script": script}
    assert resolve(scripted).resolved.model == "local/paint"


def test_the_seed_is_drawn_only_if_left_open() -> None:
    """A chosen seed is kept exactly, 0 too; an open one is drawn."""
    assert resolve(seed=2**64 - 1).resolved.seed == 2**64 - 1
    assert resolve(seed=0).resolved.seed == 0
    assert resolve().resolved.seed == 7


def test_only_images_come_in_numbers() -> None:
    """`n` counts images; for other kinds it is 1."""
    assert resolve(n=4).resolved.n == 4
    assert resolve(kind="text", n=1).resolved.n == 1
    answer = refused(kind="video", n=2)
    assert answer.details == [{"field": "n", "found": "2", "expected": "1 for kind video"}]


def test_a_backend_is_never_dropped_in_silence() -> None:
    """A backend that the model does not have is refused, also for a stand-in."""
    for model in (None, "google/imagen-4-fast"):
        assert refused(backend="kerniegen", model=model).details[0]["field"] == "backend"


def test_what_was_sent_is_kept_as_it_was_sent() -> None:
    """Defaults, aliases and sizes are filled in beside the request, not in it."""
    asked = Asked(kind="image", prompt="p", model="paint", params={"width": 512.0})
    assert FIRST_RUN.resolve(asked, draw_seed=lambda: 1).asked is asked


def test_the_app_pictures_are_four_by_three() -> None:
    """The app's image has aspect 4:3 unless it says else; native ones are square."""
    assert size({}, app=True) == (768, 576, "4:3")
    assert size({}, app=True, model="local/paint") == (768, 576, "4:3")
    assert size({"aspect_ratio": "1:1"}, app=True) == (768, 768, "1:1")
    assert size({"width": 512, "height": 512}, app=True) == (512, 512, "1:1")


def test_the_apps_unknown_parameters_are_dropped_with_a_warning() -> None:
    """What the model does not know is left out of an app's request, and told."""
    made = resolve(app=True, model="local/paint", params={"num_outputs": 1, "steps": 5})
    assert made.resolved.params["steps"] == 5
    assert "num_outputs" not in made.resolved.params
    assert made.warnings == ("num_outputs is ignored: there is no such parameter",)


def test_the_apps_wrong_parameters_are_refused() -> None:
    """A value that neither model takes is refused under the name that the app sent."""
    assert refused(app=True, params={"aspect_ratio": "banana"}).details[0]["field"] == (
        "aspect_ratio"
    )
    answer = refused(app=True, model="local/paint", params={"steps": -1})
    assert answer.details[0]["field"] == "steps"


def test_a_stand_in_takes_what_it_can() -> None:
    """Values that only the named model takes are dropped with a warning, not refused;
    a null says nothing and warns of nothing."""
    params = {"width": 3000, "resolution": "1080p", "aspect_ratio": "1:1", "fps": None}
    made = resolve(kind="video", model="bytedance/seedance-1-pro", params=params)
    assert made.resolved.params["width"] == made.resolved.params["height"] == 512
    assert made.warnings == (
        "params.resolution is ignored: there is no such parameter",
        "params.width is ignored: found 3000, expected an integer from 256 to 1024",
    )


def test_comparing_never_fails() -> None:
    """Where a request would be refused today, it is still read as far as possible."""
    text = Asked(kind="text", prompt="p", model="gpt-4.1", params={"temperature": 1}, n=3)
    read = WITH_REMOTE.compare_defaults(text)
    assert read is not None
    asked_for = {"max_tokens": 8192, "temperature": 1.0}
    assert (read.requested, read.params, read.n) == ("gpt-4.1", asked_for, 3)
    unknown = Asked(kind="text", prompt="p", model="no-such-model")
    assert WITH_REMOTE.compare_defaults(unknown) is None
    wrong = Asked(kind="image", prompt="p", params={"width": 1})
    assert WITH_REMOTE.compare_defaults(wrong) is None


def test_comparing_resolves_as_creating_does() -> None:
    """For a request that would be accepted, only a drawn seed differs."""
    asked = Asked(kind="image", prompt="p", app=True, params={"aspect_ratio": "16:9"})
    made = FIRST_RUN.resolve(asked, draw_seed=lambda: 0).resolved
    compared = FIRST_RUN.compare_defaults(asked)
    assert isinstance(compared, Resolved)
    assert compared == made


def test_models_are_listed_with_what_a_page_needs() -> None:
    """The list tells label, kind, price, schema, and one usable default of each kind."""
    models = {model.name: model for model in FIRST_RUN.models()}
    paint, imagen = models["local/paint"], models["google/imagen-4-fast"]
    assert (paint.kind, paint.price, paint.usable, paint.default) == ("image", 0.0, True, True)
    assert (imagen.price, imagen.usable, imagen.default) == (None, False, False)
    assert paint.params["steps"]["maximum"] == 100
    assert models["local/slow"].params["steps"]["maximum"] == 500
    assert paint.params["negative_prompt"]["maxLength"] == 20000
    defaults = [model.name for model in models.values() if model.default]
    assert sorted(defaults) == ["local/clip", "local/paint", "local/prose"]
    assert {model.kind for model in FIRST_RUN.models("video")} == {"video"}
    assert all(model.label and "undefined" not in model.label for model in models.values())


def test_every_model_of_the_list_can_be_asked_for() -> None:
    """Each listed model resolves by its name on a first run, with its own defaults, unless
    it cannot do without something that no stand-in would take."""
    for model in FIRST_RUN.models():
        if model.required:
            answer = refused(kind=model.kind, model=model.name)
            assert answer.code.name == "provider_not_configured"
        else:
            assert resolve(kind=model.kind, model=model.name).resolved.requested == model.name


def test_providers_have_names_for_people() -> None:
    """A provider is shown by its label, an unknown one by its name."""
    assert FIRST_RUN.provider_label("replicate") == "Replicate"
    assert FIRST_RUN.provider_label("someone") == "someone"


def test_offers_are_what_may_be_named() -> None:
    """The app is offered what a request may name, its own default first; on a first run
    that is everything, with a remote provider only what can run."""
    first = FIRST_RUN.offers("text")
    assert {offer.name for offer in first} == {model.name for model in FIRST_RUN.models("text")}
    assert (first[0].name, first[0].default) == ("gemini-2.5-flash-lite", True)
    remote = WITH_REMOTE.offers("text")
    assert [(offer.name, offer.default) for offer in remote] == [("local/prose", True)]
    for registry, kind in ((FIRST_RUN, "text"), (WITH_REMOTE, "image")):
        offers = registry.offers(kind)
        assert [offer.default for offer in offers].count(True) == 1
        for offer in offers:
            assert resolve(registry, kind=kind, model=offer.name)
    assert Registry.load(frozenset()).offers("text") == []


def test_every_text_model_is_described() -> None:
    """A list that people choose from has a sentence for each of its rows."""
    assert all(offer.description.endswith(".") for offer in FIRST_RUN.offers("text"))
