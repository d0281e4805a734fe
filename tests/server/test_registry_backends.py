"""The registry and backends: which model, and where it runs, for whom."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from safelight.registry import Places, Registry, Resolution
from safelight.registry.catalog import laid_over, read_catalog
from safelight_protocol.codes import Refused
from safelight_protocol.identity import compare, fingerprint
from safelight_protocol.task import Asked, Input, Resolved, Task

TYPES = {"kerniegen": "comfyui", "studio": "comfyui", "attic": "comfyui"}
CONFIGURED = frozenset({"local", "comfyui"})
PINNED = """
[[models]]
name = "mine/flux"
label = "Flux"
kind = "image"
provider = "comfyui"
schema = "comfyui_image"
workflow = "flux"
order = 30
backends = ["studio", "attic"]
"""

CATALOG = laid_over(read_catalog(), PINNED, "own.toml")
PLAIN = Registry(CATALOG, CONFIGURED, Places(TYPES))
WITH_DEFAULT = Registry(CATALOG, CONFIGURED, Places(TYPES, "kerniegen"))


def resolve(
    registry: Registry, preferred: str | None = None, **asked: Any
) -> tuple[str, str | None]:
    """The model and the backend that a request comes to."""
    made = resolution(registry, preferred, **asked).resolved
    return made.model, made.backend


def resolution(registry: Registry, preferred: str | None = None, **asked: Any) -> Resolution:
    given = Asked(**{"kind": "image", "prompt": "p"} | asked)
    return registry.resolve(given, draw_seed=lambda: 7, preferred=preferred)


def refused(registry: Registry, preferred: str | None = None, **asked: Any) -> Refused:
    with pytest.raises(Refused) as caught:
        resolution(registry, preferred, **asked)
    return caught.value


@pytest.mark.parametrize(
    ("registry", "preferred", "asked", "backend"),
    [
        (WITH_DEFAULT, "attic", "studio", "studio"),
        (WITH_DEFAULT, "attic", None, "attic"),
        (WITH_DEFAULT, None, None, "kerniegen"),
        (WITH_DEFAULT, "gone", None, "kerniegen"),
        (PLAIN, None, None, "kerniegen"),
        (PLAIN, "studio", None, "studio"),
    ],
)
def test_a_backend_is_chosen_by_request_then_owner_then_default(
    registry: Registry, preferred: str | None, asked: str | None, backend: str
) -> None:
    """The one that was asked for, else the owner's, else the default, else the first; a
    preference for one that is gone says nothing."""
    given = {"model": "comfyui/txt2img", "backend": asked}
    assert resolve(registry, preferred, **given) == ("comfyui/txt2img", backend)


def test_a_model_runs_only_where_it_may() -> None:
    """A choice that the model cannot have passes over to its own first one, unless it was
    asked for: then it is refused, with those that can."""
    assert resolve(WITH_DEFAULT, model="mine/flux") == ("mine/flux", "studio")
    assert resolve(WITH_DEFAULT, "attic", model="mine/flux") == ("mine/flux", "attic")
    answer = refused(WITH_DEFAULT, model="mine/flux", backend="kerniegen")
    assert answer.code.name == "invalid"
    assert answer.details == [
        {
            "field": "backend",
            "found": '"kerniegen"',
            "expected": "for mine/flux one of studio, attic",
        }
    ]


def test_a_model_without_backends_has_none() -> None:
    """Preference and default do not touch what runs here; asking for one is refused."""
    assert resolve(WITH_DEFAULT, "studio", model="local/paint") == ("local/paint", None)
    answer = refused(WITH_DEFAULT, model="local/paint", backend="studio")
    assert answer.code.name == "invalid"
    assert "local/paint has no backends" in str(answer.details[0]["expected"])


def test_an_unknown_backend_is_refused_with_its_neighbours() -> None:
    """Whatever the model, a name that is none of ours is told apart, and the nearest named."""
    for model in (None, "comfyui/txt2img", "local/paint"):
        answer = refused(PLAIN, model=model, backend="kerniegan")
        assert answer.code.name == "unknown_backend"
        assert answer.details[0]["found"] == '"kerniegan"'
        assert "near it: kerniegen" in str(answer.details[0]["expected"])
    none = Registry(CATALOG, frozenset({"local"}))
    assert "nothing: no backends are here" in refused(none, backend="kerniegen").message


def test_who_names_no_model_gets_that_of_the_backend() -> None:
    """The first model of the backend that was asked for, preferred or set by default; and
    where there is none of that kind, the first of all, unless it was asked for."""
    assert resolve(PLAIN) == ("local/paint", None)
    assert resolve(PLAIN, "studio") == ("comfyui/txt2img", "studio")
    assert resolve(WITH_DEFAULT) == ("comfyui/txt2img", "kerniegen")
    assert resolve(PLAIN, backend="attic") == ("comfyui/txt2img", "attic")
    assert resolve(PLAIN, backend="attic", kind="video") == ("comfyui/animation", "attic")
    assert resolve(WITH_DEFAULT, "studio", kind="text") == ("local/prose", None)
    answer = refused(WITH_DEFAULT, kind="text", backend="studio")
    assert (answer.code.name, answer.details[0]["field"]) == ("invalid", "backend")
    assert answer.details[0]["expected"] == "one that runs a model of kind text, or none"


def test_what_the_app_means_falls_to_the_backend_that_is_set() -> None:
    """The app's model is not here: the first model of the preferred backend stands in, and
    says for whom."""
    made = resolution(WITH_DEFAULT, "studio", app=True).resolved
    assert (made.model, made.backend) == ("comfyui/txt2img", "studio")
    assert (made.requested, made.substituted_for) == ("google/imagen-4-fast",) * 2
    assert made.params["aspect_ratio"] == "4:3"


def test_a_preference_changes_the_next_request_at_once() -> None:
    """What is remembered of one owner's request is not another's, nor the same owner's with
    another preference."""
    for preferred in ("studio", "attic", "kerniegen", "studio"):
        assert resolve(PLAIN, preferred, model="comfyui/txt2img")[1] == preferred


def test_a_provider_without_backends_is_not_usable() -> None:
    """Its models are listed and refused as not configured; with a graph of the caller's own
    nothing stands in either."""
    registry = Registry.load(frozenset({"local"}))
    listed = {model.name: model for model in registry.models()}
    assert (listed["comfyui/txt2img"].usable, listed["comfyui/txt2img"].backends) == (False, ())
    remote = Registry.load(frozenset({"local", "replicate"}))
    for without, model in ((registry, "comfyui/workflow"), (remote, "comfyui/txt2img")):
        answer = refused(without, model=model)
        assert answer.code.name == "provider_not_configured"
        assert "ComfyUI" in answer.message


def test_the_list_says_where_each_model_runs() -> None:
    """Backends in the order of choice, and one default of each kind, by preference."""
    listed = {model.name: model for model in PLAIN.models(preferred="attic")}
    assert listed["comfyui/txt2img"].backends == ("kerniegen", "studio", "attic")
    assert listed["mine/flux"].backends == ("studio", "attic")
    assert listed["mine/flux"].workflow == "flux"
    assert listed["local/paint"].backends == ()
    assert {name for name, model in listed.items() if model.default} == {
        "comfyui/txt2img",
        "comfyui/animation",
        "local/prose",
    }


def task_of(asked: Asked, resolved: Resolved) -> Task:
    return Task(
        uid="u", owner="o", id="t", asked=asked, resolved=resolved, created_at=0, updated_at=0
    )


def test_another_backend_is_another_request() -> None:
    """Two requests for two backends are never taken for one; a backend that was left open is
    the one that it came to."""
    asked = Asked(kind="image", prompt="p", model="comfyui/txt2img")
    there = {
        name: PLAIN.resolve(asked, draw_seed=lambda: 1, preferred=name).resolved for name in TYPES
    }
    assert len({fingerprint(asked, resolved) for resolved in there.values()}) == 3
    named = Asked(kind="image", prompt="p", model="comfyui/txt2img", backend="studio")
    same = PLAIN.resolve(named, draw_seed=lambda: 2).resolved
    assert fingerprint(named, same) == fingerprint(asked, there["studio"])


def test_an_open_backend_never_conflicts() -> None:
    """Who left the backend open is met by who names one, and the other way round as long as
    the preference says the same."""
    open_, named = (
        Asked(kind="image", prompt="p", model="comfyui/txt2img", backend=name)
        for name in (None, "studio")
    )
    made = PLAIN.resolve(open_, draw_seed=lambda: 1, preferred="attic").resolved
    verdict = compare(named, PLAIN.compare_defaults(named, preferred="attic"), task_of(open_, made))
    assert verdict.same
    assert [difference.field for difference in verdict.open] == ["backend"]
    made = PLAIN.resolve(named, draw_seed=lambda: 1).resolved
    preferring = PLAIN.compare_defaults(open_, preferred="studio")
    assert compare(open_, preferring, task_of(named, made)).same
    assert not compare(open_, PLAIN.compare_defaults(open_), task_of(named, made)).same


def test_comparing_survives_a_backend_that_is_gone() -> None:
    """A repeat of a request for a backend that the settings no longer have is still read."""
    asked = Asked(kind="image", prompt="p", model="comfyui/txt2img", backend="cellar")
    read = PLAIN.compare_defaults(asked)
    assert read is not None
    assert (read.requested, read.backend) == ("comfyui/txt2img", "cellar")


def test_a_model_takes_the_inputs_it_can_use() -> None:
    """One that begins with a picture is not started without; one that would not look at it
    is not handed any."""
    picture = (Input(artifact="a"),)
    for model, inputs, expected in (
        ("comfyui/img2img", (), "1 or more"),
        ("comfyui/img2img", picture * 2, "at most 1"),
        ("comfyui/txt2img", picture, "none for comfyui/txt2img"),
    ):
        answer = refused(PLAIN, model=model, inputs=inputs)
        assert answer.details[0]["field"] == "inputs"
        assert answer.details[0]["expected"] == expected
    assert resolve(PLAIN, model="comfyui/img2img", inputs=picture)[0] == "comfyui/img2img"
    assert resolve(PLAIN, model="local/paint", inputs=picture)[0] == "local/paint"


def test_a_graph_of_ones_own_is_run_once() -> None:
    """`n` would be dropped in silence, so it is refused."""
    graph = {"9": {"class_type": "SaveImage", "inputs": {}}}
    given: dict[str, Any] = {"model": "comfyui/workflow", "params": {"workflow": graph}}
    assert resolution(PLAIN, **given).resolved.params == {"workflow": graph}
    answer = refused(PLAIN, n=2, **given)
    assert answer.details[0] == {
        "field": "n",
        "found": "2",
        "expected": "at most 1 for comfyui/workflow",
    }


def test_a_graph_of_ones_own_has_its_own_seeds() -> None:
    """A chosen seed would be used nowhere, so it is refused; none is drawn, and 0, which is
    what is told of such a task, asks for no other. Every other model keeps its seed."""
    graph = {"9": {"class_type": "KSampler", "inputs": {"seed": 5}}}
    given: dict[str, Any] = {"model": "comfyui/workflow", "params": {"workflow": graph}}
    for seed in (None, 0):
        made = resolution(PLAIN, seed=seed, **given).resolved
        assert (made.seed, made.own_seed) == (0, True)
    assert refused(PLAIN, seed=7, **given).details == [
        {"field": "seed", "found": "7", "expected": "nothing: the workflow has its own seeds"}
    ]
    drawn = resolution(PLAIN, model="comfyui/txt2img").resolved
    assert (drawn.seed, drawn.own_seed) == (7, UNSET)


NAMES = [None, "", "comfyui/txt2img", "comfyui/workflow", "mine/flux", "paint", "gpt-4.1", "x/y"]
WHERE = [None, *TYPES, "gone", ""]
PARAMS = st.dictionaries(
    st.sampled_from(["steps", "width", "sampler", "workflow", "zzz"]),
    st.one_of(st.none(), st.integers(-1, 999), st.text(max_size=4), st.just({"3": {}})),
    max_size=3,
)


@given(
    registry=st.sampled_from([PLAIN, WITH_DEFAULT]),
    kind=st.sampled_from(["image", "video", "text"]),
    model=st.sampled_from(NAMES),
    backend=st.sampled_from(WHERE),
    preferred=st.sampled_from(WHERE),
    params=PARAMS,
    app=st.booleans(),
)
def test_nothing_ever_runs_where_it_was_not_meant_to(
    registry: Registry,
    kind: Any,
    model: str | None,
    backend: str | None,
    preferred: str | None,
    params: dict[str, Any],
    app: bool,
) -> None:
    """Whatever is asked: it is refused in words, or runs on a backend that may run it, and
    on the very one that was asked for if one was."""
    asked = Asked(kind=kind, prompt="p", model=model, backend=backend, params=params, app=app)
    try:
        made = registry.resolve(asked, draw_seed=lambda: 1, preferred=preferred).resolved
    except Refused as refused:
        assert all({"field", "found", "expected"} == detail.keys() for detail in refused.details)
        registry.compare_defaults(asked, preferred=preferred)
        return
    row = next(one for one in registry.models() if one.name == made.model)
    assert row.usable and row.kind == kind
    assert made.backend in row.backends or (made.backend is None and not row.backends)
    if backend is not None:
        assert made.backend == backend
    elif preferred in row.backends:
        assert made.backend == preferred
    assert registry.compare_defaults(asked, preferred=preferred) == msgspec.structs.replace(
        made, seed=0
    )
