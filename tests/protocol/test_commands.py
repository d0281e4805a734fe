"""The bodies of commands, in every form that a door takes, and everything wrong with them."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from safelight_protocol.codes import Refused
from safelight_protocol.commands import (
    MAX_INPUTS,
    Create,
    is_app_form,
    read_app,
    read_create,
    read_generate,
    read_native,
)
from safelight_protocol.fields import MAX_NAMED
from safelight_protocol.identity import Reuse
from safelight_protocol.task import Asked, Input

PLAIN = {"kind": "image", "prompt": "a monk"}


def native(**fields: Any) -> Create:
    """A native body, sent as JSON."""
    return read_native(msgspec.json.decode(msgspec.json.encode(PLAIN | fields)))


def refused(**fields: Any) -> dict[str, object]:
    """The one detail of a native body's refusal."""
    with pytest.raises(Refused) as refusal:
        native(**fields)
    assert refusal.value.code.name == "invalid"
    (detail,) = refusal.value.details
    assert set(detail) == {"field", "found", "expected"}
    assert all(isinstance(text, str) for text in detail.values())
    assert len(str(detail["found"])) <= 80
    return detail


def test_a_native_body_is_read_whole() -> None:
    """Every field finds its place; the seed is exact."""
    body = {
        **{"kind": "video", "prompt": "waves", "model": "m", "backend": "b", "n": 2},
        **{"params": {"width": 64}, "seed": "9007199254740993", "max_cost": 1},
        "inputs": [{"task": "t"}, {"artifact": "a"}],
        "request_id": "r",
        "id": "x",
        "webhook": None,
    }
    assert read_native(body) == Create(
        asked=Asked(
            kind="video",
            prompt="waves",
            model="m",
            backend="b",
            params={"width": 64},
            seed=2**53 + 1,
            inputs=(Input(task="t"), Input(artifact="a")),
            n=2,
        ),
        id="x",
        key="r",
        request_id="r",
        max_micros=1_000_000,
    )


def test_the_least_body_leaves_everything_open() -> None:
    """Kind and prompt are enough; null leaves a field open as well as leaving it out."""
    open_fields = ("id", "model", "backend", "seed", "n", "reuse", "request_id", "max_cost")
    assert native() == native(**dict.fromkeys(open_fields)) == Create(asked=Asked(**PLAIN))


@pytest.mark.parametrize("seed", [2**53 + 1, 2**63, 2**64 - 1, 0])
@pytest.mark.parametrize("spelt", [int, str])
def test_large_seeds_arrive_exactly(seed: int, spelt: type) -> None:
    """As a number or as a decimal string."""
    assert native(seed=spelt(seed)).asked.seed == seed


def test_a_header_goes_before_the_request_id() -> None:
    """`Idempotency-Key` is the key where both are there; `request_id` is kept beside it."""
    made = read_native(PLAIN | {"request_id": "r"}, key="h")
    assert (made.key, made.request_id) == ("h", "r")
    assert read_native(PLAIN, key="h").key == "h"


BAD: dict[str, tuple[Any, str]] = {
    "unknown field": ({"colour": "red"}, "no such field"),
    "kind": ({"kind": "audio"}, "one of image, video, text"),
    "kind null": ({"kind": None}, "one of image, video, text"),
    "kind list": ({"kind": ["image"]}, "one of image, video, text"),
    "prompt empty": ({"prompt": ""}, "1 to 20000 characters"),
    "prompt blank": ({"prompt": " \n"}, "1 to 20000 characters"),
    "prompt 100 kB": ({"prompt": "x" * 100_000}, "1 to 20000 characters"),
    "prompt number": ({"prompt": 5}, "1 to 20000 characters"),
    "seed -1": ({"seed": -1}, "0 to 18446744073709551615"),
    "seed 2^64": ({"seed": 2**64}, "0 to 18446744073709551615"),
    "seed 2^64 as text": ({"seed": str(2**64)}, "0 to 18446744073709551615"),
    "seed abc": ({"seed": "abc"}, "0 to 18446744073709551615"),
    "seed true": ({"seed": True}, "0 to 18446744073709551615"),
    "seed 1.5": ({"seed": 1.5}, "0 to 18446744073709551615"),
    "id with space": ({"id": "a b"}, "1 to 64 characters"),
    "id with slash": ({"id": "a/b"}, "1 to 64 characters"),
    "id of 65": ({"id": "x" * 65}, "1 to 64 characters"),
    "id empty": ({"id": ""}, "1 to 64 characters"),
    "id with line break": ({"id": "x\n"}, "1 to 64 characters"),
    "id with accent": ({"id": "é"}, "1 to 64 characters"),
    "id number": ({"id": 5}, "1 to 64 characters"),
    "id of a conversation": ({"id": "llm_1"}, "not begin with llm_"),
    "id of a chat": ({"id": "chat_1"}, "not begin with llm_"),
    "id of a swift chat": ({"id": "swift_"}, "not begin with llm_"),
    "n 0": ({"n": 0}, "1 to 8"),
    "n 9": ({"n": 9}, "1 to 8"),
    "n true": ({"n": True}, "1 to 8"),
    "n text": ({"n": "2"}, "1 to 8"),
    "model number": ({"model": 5}, "1 to 200 characters"),
    "model empty": ({"model": ""}, "1 to 200 characters"),
    "model long": ({"model": "m" * 201}, "1 to 200 characters"),
    "backend list": ({"backend": []}, "1 to 200 characters"),
    "params list": ({"params": []}, "an object"),
    "params text": ({"params": "{}"}, "an object"),
    "reuse": ({"reuse": "always"}, "one of never, inflight, completed"),
    "request_id empty": ({"request_id": ""}, "1 to 255 characters"),
    "request_id long": ({"request_id": "r" * 256}, "1 to 255 characters"),
    "request_id with NUL": ({"request_id": "a\u0000b"}, "control"),
    "request_id with line break": ({"request_id": "a\n"}, "control"),
    "request_id with DEL": ({"request_id": "a\u007f"}, "control"),
    "max_cost negative": ({"max_cost": -0.01}, "0 or more"),
    "max_cost text": ({"max_cost": "1"}, "0 or more"),
    "webhook": ({"webhook": "ftp://example.com"}, "an http or https address"),
    "inputs object": ({"inputs": {"task": "x"}}, "a list of"),
    "inputs of texts": ({"inputs": ["x"]}, "a list of"),
    "inputs of nothing": ({"inputs": [{}]}, "of the form"),
    "inputs of both": ({"inputs": [{"task": "x", "artifact": "y"}]}, "of the form"),
    "inputs with more": ({"inputs": [{"task": "x", "as": "mask"}]}, "of the form"),
    "inputs of numbers": ({"inputs": [{"task": 5}]}, "a list of"),
    "inputs of no id": ({"inputs": [{"task": "x" * 65}]}, "of the form"),
    "inputs of an empty id": ({"inputs": [{"artifact": ""}]}, "of the form"),
}


@pytest.mark.parametrize(("fields", "expected"), BAD.values(), ids=list(BAD))
def test_bad_input_is_named(fields: dict[str, Any], expected: str) -> None:
    """Each mistake is one detail: the field, what was found there, and what would be right."""
    detail = refused(**fields)
    assert detail["field"] == next(iter(fields))
    assert expected in str(detail["expected"])


@pytest.mark.parametrize("body", [None, [], "text", 5, [PLAIN]])
def test_a_body_must_be_an_object(body: Any) -> None:
    """Anything else is refused as a whole."""
    with pytest.raises(Refused) as refusal:
        read_native(body)
    assert refusal.value.details[0]["field"] == "body"


@pytest.mark.parametrize("reuse", ["never", "inflight", "completed"])
def test_reuse_is_read(reuse: Reuse) -> None:
    """The three ways to look for a task alike."""
    assert native(reuse=reuse).reuse == reuse


@pytest.mark.parametrize("reuse", ["never", "inflight", "completed"])
def test_reuse_beside_an_id_is_refused(reuse: Reuse) -> None:
    """An id names its task; there is nothing left to look for."""
    detail = refused(id="x", reuse=reuse)
    assert (detail["field"], detail["expected"]) == ("reuse", "nothing beside id")


def test_the_apps_body_is_read() -> None:
    """`input_data` with its type; what else it holds becomes a parameter."""
    data = {"type": "image", "prompt": "Test image", "aspect_ratio": "4:3", "seed": 5, "vip": None}
    made = read_app({"input_data": data, "model": "m"}, key="k")
    asked = Asked(
        kind="image",
        prompt="Test image",
        model="m",
        seed=5,
        params={"aspect_ratio": "4:3"},
        app=True,
    )
    assert made == Create(asked=asked, key="k")


@pytest.mark.parametrize("type", [None, "chat", 5, ["image"], "IMAGE"])
def test_an_unknown_type_means_text(type: Any) -> None:
    """As with the deployed app; so does a missing one."""
    assert read_app({"input_data": {"prompt": "x", "type": type}}).asked.kind == "text"
    assert read_app({"input_data": {"prompt": "x"}}).asked.kind == "text"


def test_the_model_of_the_input_wins() -> None:
    """A model inside `input_data` goes before the one beside it."""
    body = {"input_data": {"prompt": "x", "model": "inner"}, "model": "outer"}
    assert read_app(body).asked.model == "inner"


@pytest.mark.parametrize(
    ("beside", "inside", "meant", "ignored"),
    [
        ("b", None, "b", ()),
        (None, "b", "b", ()),
        ("b", "b", "b", ()),
        ("b", "c", "b", ("input_data.backend is ignored",)),
        ("b", 5, "b", ("input_data.backend is ignored",)),
        (None, None, None, ()),
    ],
)
def test_the_apps_backend_is_the_native_one(
    beside: Any, inside: Any, meant: str | None, ignored: tuple[str, ...]
) -> None:
    """Beside the data or in it, it is the request's backend and no parameter; beside wins."""
    made = read_app({"input_data": {"prompt": "x", "backend": inside}, "backend": beside})
    assert (made.asked.backend, made.warnings, made.asked.params) == (meant, ignored, {})


def test_a_backend_in_the_apps_form_is_read_as_strictly() -> None:
    """What is no name is refused where it stands, as in the native body."""
    for body, field in (
        ({"input_data": {"prompt": "x"}, "backend": 5}, "backend"),
        ({"input_data": {"prompt": "x", "backend": ""}}, "input_data.backend"),
    ):
        with pytest.raises(Refused) as refusal:
            read_app(body)
        assert (refusal.value.code.name, refusal.value.details[0]["field"]) == ("invalid", field)


def test_a_push_names_its_backend() -> None:
    """Beside the prompt or among the options; null beside takes nothing away."""
    for fields in (
        {"backend": "b"},
        {"options": {"backend": "b"}},
        {"backend": "b", "options": {"backend": "c"}},
        {"backend": None, "options": {"backend": "b"}},
    ):
        asked = read_generate("image", {"prompt": "x"} | fields, topic_id="t").asked
        assert (asked.backend, asked.params) == ("b", {})


def test_what_the_app_says_beside_is_listed() -> None:
    """Unknown fields of the outer body are ignored with a warning each, up to a number."""
    body: dict[str, Any] = {"input_data": {"prompt": "x"}, "priority": 1}
    assert read_app(body).warnings == ("priority is ignored",)
    flood = read_app(body | {f"f{n}" * 100: n for n in range(1_000)})
    assert len(flood.warnings) == MAX_NAMED
    assert max(map(len, flood.warnings)) < 100


@pytest.mark.parametrize("data", [None, [], "x", 5])
def test_the_apps_input_must_be_an_object(data: Any) -> None:
    """Another `input_data` is named as such."""
    with pytest.raises(Refused) as refusal:
        read_app({"input_data": data})
    assert refusal.value.details[0]["field"] == "input_data"


@pytest.mark.parametrize(("name", "value"), [("prompt", ""), ("seed", -1), ("model", 5)])
def test_the_apps_fields_have_their_place(name: str, value: Any) -> None:
    """What is wrong is named within `input_data`."""
    with pytest.raises(Refused) as refusal:
        read_app({"input_data": {"prompt": "x", name: value}})
    assert [d["field"] for d in refusal.value.details] == [f"input_data.{name}"]


def test_a_push_on_a_channel_is_read() -> None:
    """Options are flattened, what stands beside them wins, and the channel names the task."""
    payload = {
        "prompt": "a monk",
        "request_id": "r",
        "steps": 4,
        "options": {"steps": 8, "seed": 7},
    }
    made = read_generate("image", payload, topic_id="x")
    asked = Asked(kind="image", prompt="a monk", seed=7, params={"steps": 4}, app=True)
    assert made == Create(asked=asked, id="x", topic_id="x", lenient=True, key="r", request_id="r")


def test_a_push_on_a_conversation_has_no_id() -> None:
    """There, each push is a task of its own."""
    made = read_generate("text", {"prompt": "hello"}, topic_id=None)
    assert (made.id, made.topic_id, made.asked.kind) == (None, None, "text")


def test_only_a_push_on_a_tasks_channel_is_lenient() -> None:
    """There the place names the task; in a conversation, and in every body, it does not."""
    assert read_generate("image", {"prompt": "p"}, topic_id="t").lenient is True
    assert read_generate("image", {"prompt": "p"}, topic_id=None).lenient is False
    assert read_create(PLAIN).lenient is False


def test_options_that_are_none_are_ignored_aloud() -> None:
    """Anything but an object is listed; null is as good as nothing."""
    made = read_generate("image", {"prompt": "x", "options": [1]}, topic_id=None)
    assert made.warnings == ("options is ignored",)
    assert read_generate("image", {"prompt": "x", "options": None}, topic_id=None).warnings == ()


@pytest.mark.parametrize(
    "payload", [{}, {"prompt": ""}, {"prompt": " "}, {"prompt": None}, [], "x"]
)
def test_a_push_without_a_prompt_has_its_own_code(payload: Any) -> None:
    """The deployed app looks for `missing_prompt`."""
    with pytest.raises(Refused) as refusal:
        read_generate("image", payload, topic_id="x")
    assert refusal.value.code.name == "missing_prompt"


def test_a_prompt_of_another_type_is_invalid() -> None:
    """A number is there, but is no prompt."""
    with pytest.raises(Refused) as refusal:
        read_generate("image", {"prompt": 5}, topic_id="x")
    assert refusal.value.code.name == "invalid"


def test_either_form_is_told_by_its_field() -> None:
    """`input_data` makes a body the app's; everything else is read as native."""
    app = {"input_data": {"type": "image", "prompt": "a monk"}}
    assert (is_app_form(app), is_app_form(PLAIN), is_app_form([])) == (True, False, False)
    assert read_create(app, key="k") == read_app(app, key="k")
    assert read_create(PLAIN, key="k") == read_native(PLAIN, key="k")


def test_inputs_have_a_bound() -> None:
    """Sixteen inputs are taken; one more is refused by the field and the bound."""
    assert len(native(inputs=[{"task": "a"}] * MAX_INPUTS).asked.inputs) == MAX_INPUTS == 16
    detail = refused(inputs=[{"task": "a"}] * (MAX_INPUTS + 1))
    assert (detail["field"], detail["expected"]) == ("inputs", "at most 16 inputs")


def test_a_text_over_rest_has_its_header_as_key() -> None:
    """The Idempotency-Key goes before the body's `request_id`, as in every create."""
    both = {"prompt": "p", "request_id": "r"}
    assert read_generate("text", both, topic_id=None, key="k").key == "k"
    assert read_generate("text", both, topic_id=None).key == "r"
