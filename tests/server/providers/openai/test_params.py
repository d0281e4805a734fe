"""Parameters: what is taken, what it is called on the wire, and how a wrong one is refused."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.base import Failure, Prediction
from safelight.providers.openai import OpenAI
from safelight.providers.openai.params import Api, read_options
from safelight.settings import ProviderSettings
from safelight_protocol.codes import Refused
from tests.doubles.openai_talk import Talk


def wanted(api: Api, n: int = 1, kind: Any = None, **params: Any) -> Prediction:
    """What is asked for."""
    kind = kind or ("image" if api == "images" else "text")
    return Prediction(
        uid="u", attempt=1, kind=kind, model="m", prompt="p", params=params, seed=1, n=n
    )


TAKEN: list[tuple[Api, bool, dict[str, Any], dict[str, Any]]] = [
    ("responses", True, {"temperature": 1, "top_p": 0.5}, {"temperature": 1.0, "top_p": 0.5}),
    ("responses", True, {"max_tokens": 16}, {"max_output_tokens": 16}),
    ("responses", True, {"system": "s"}, {"instructions": "s"}),
    ("responses", True, {"reasoning_effort": "low"}, {"reasoning": {"effort": "low"}}),
    ("responses", True, {"verbosity": "high"}, {"text": {"verbosity": "high"}}),
    ("responses", True, {"temperature": None}, {}),
    ("chat", True, {"max_tokens": 5}, {"max_completion_tokens": 5}),
    ("chat", False, {"max_tokens": 5}, {"max_tokens": 5}),
    ("chat", False, {"stop": ["a", "b"]}, {"stop": ["a", "b"]}),
    ("chat", False, {"stop": "a"}, {"stop": "a"}),
    ("images", True, {"quality": "max", "size": "auto"}, {"quality": "max", "size": "auto"}),
    ("images", True, {"aspect_ratio": "1:1"}, {"size": "1024x1024"}),
    ("images", True, {"partial_images": 0}, {"partial_images": 0}),
]


@pytest.mark.parametrize(("api", "own", "given", "sent"), TAKEN)
def test_parameters_have_their_names_on_the_wire(
    api: Api, own: bool, given: dict[str, Any], sent: dict[str, Any]
) -> None:
    """OpenAI's, or those that other servers have kept."""
    options = read_options(wanted(api, **given), api, own=own, model="gpt-image-2")
    assert (options.body, options.more) == (sent, {})


WRONG: list[tuple[Api, dict[str, Any], str]] = [
    ("responses", {"temperature": 3}, "params.temperature"),
    ("responses", {"temperature": "hot"}, "params.temperature"),
    ("responses", {"max_tokens": 15}, "params.max_tokens"),
    ("responses", {"max_tokens": 16.5}, "params.max_tokens"),
    ("responses", {"system": 3}, "params.system"),
    ("responses", {"reasoning_effort": "much"}, "params.reasoning_effort"),
    ("responses", {"n": 2}, "n"),
    ("responses", {"kind": "video"}, "kind"),
    ("responses", {"top_k": 3}, "params.top_k"),
    ("chat", {"stop": []}, "params.stop"),
    ("chat", {"presence_penalty": -3}, "params.presence_penalty"),
    ("images", {"size": "big"}, "params.size"),
    ("images", {"width": 8}, "params.width"),
    ("images", {"aspect_ratio": "wide"}, "params.aspect_ratio"),
    ("images", {"quality": "best"}, "params.quality"),
    ("images", {"output_format": "svg"}, "params.output_format"),
    ("images", {"partial_images": 4}, "params.partial_images"),
    ("images", {"n": 11}, "n"),
    ("images", {"negative_prompt": "dull"}, "params.negative_prompt"),
]


@pytest.mark.parametrize(("api", "given", "field"), WRONG)
def test_a_wrong_one_is_named(api: Api, given: dict[str, Any], field: str) -> None:
    """With what was found and what is expected, before anything is sent."""
    with pytest.raises(Refused) as refused:
        read_options(wanted(api, **given), api, own=True, model="m")
    (detail,) = refused.value.details
    assert refused.value.code.name == "invalid"
    assert (detail["field"], bool(detail["found"]), bool(detail["expected"])) == (field, True, True)


def test_another_server_may_know_more() -> None:
    """What nobody here knows is handed on to it."""
    options = read_options(wanted("chat", top_k=3, top_p=1), "chat", own=False, model="m")
    assert (options.body, options.more) == ({"top_p": 1.0}, {"top_k": 3})


@pytest.mark.parametrize("name", ["stream", "messages", "n", "tools", "model"])
def test_what_we_say_ourselves_is_nobody_elses(name: str) -> None:
    """A parameter cannot change what is sent behind our back."""
    asked = with_param(name)
    with pytest.raises(Refused) as refused:
        read_options(asked, "chat", own=False, model="m")
    assert refused.value.details[0]["field"] == f"params.{name}"


def with_param(name: str) -> Prediction:
    """A prediction with a parameter of any name."""
    return Prediction(
        uid="u", attempt=1, kind="text", model="m", prompt="p", params={name: 1}, seed=1, n=1
    )


async def test_doors_can_ask_before_anything_is_accepted() -> None:
    """`check` refuses what `start` would; nothing is sent for either, and no server says what
    it takes."""
    provider = OpenAI(ProviderSettings(key="k"))
    wrong = wanted("responses", temperature=9)
    with pytest.raises(Refused):
        await provider.check(wrong)
    await provider.check(wanted("responses", temperature=1))
    assert await provider.schema("m") is None
    with pytest.raises(Failure) as failure:
        await Talk(provider, params={"temperature": 9}).start()
    assert getattr(failure.value.outcome, "code", "") == "invalid_input"
