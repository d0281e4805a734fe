"""Our words in a model's words: names, sizes, seeds, counts and files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from safelight.providers.base import InputFile, Prediction
from safelight.providers.replicate.fitting import Fit, fit, folded, params_of
from safelight.providers.replicate.inputs import filled
from safelight.providers.replicate.schema import Shape
from safelight_protocol.codes import Refused

TEXT: dict[str, Any] = {"type": "string"}
WHOLE: dict[str, Any] = {"type": "integer"}
FILE: dict[str, Any] = {"type": "string", "format": "uri"}
RATIO = {"type": "string", "enum": ["1:1", "4:3", "custom"]}


def _fit(fields: dict[str, Any], required: tuple[str, ...] = (), **asked: Any) -> Fit:
    return fit(_asked(**asked), Shape({"prompt": TEXT, **fields}, required))


def _asked(**asked: Any) -> Prediction:
    given: dict[str, Any] = {
        "uid": "u",
        "attempt": 1,
        "kind": "image",
        "model": "a/b",
        "prompt": "a lamp",
        "params": {},
        "seed": 7,
        "n": 1,
    }
    return Prediction(**given | asked)


def _files(*media_types: str) -> tuple[InputFile, ...]:
    return tuple(InputFile(Path(), media_type) for media_type in media_types)


def _problems(*args: Any, **asked: Any) -> dict[str, str]:
    with pytest.raises(Refused) as refused:
        _fit(*args, **asked)
    assert refused.value.code.name == "invalid"
    return {str(one["field"]): str(one["expected"]) for one in refused.value.details}


def test_prompt_seed_and_count() -> None:
    """Prompt, seed and count go where the model has them."""
    found = _fit({"seed": WHOLE, "num_outputs": WHOLE}, n=3)
    assert found.values == {"prompt": "a lamp", "seed": 7, "num_outputs": 3}


def test_what_the_model_has_not_is_left_out() -> None:
    """A model without a seed gets none; one result is no count."""
    assert _fit({}).values == {"prompt": "a lamp"}


def test_other_names() -> None:
    """Common parameters are understood under the model's own name, and told by ours."""
    found = _fit(
        {"num_inference_steps": WHOLE, "seconds": WHOLE}, params={"steps": 4, "duration": 5.0}
    )
    assert found.values["num_inference_steps"] == 4 and found.values["seconds"] == 5
    assert found.names["num_inference_steps"] == "params.steps"


def test_every_problem_is_told_by_its_name() -> None:
    """Everything wrong is told at once, by the caller's names."""
    fields = {"num_inference_steps": {"type": "integer", "maximum": 4}, "guidance": TEXT}
    found = _problems(fields, params={"steps": 9, "guidnce": "x"}, n=2)
    assert found["params.steps"] == "an integer of 4 or less"
    assert "guidance" in found["params.guidnce"]
    assert found["n"] == "1 for a/b"


def test_a_count_is_not_smuggled_in() -> None:
    """What has a place of its own beside the parameters is not taken among them."""
    found = _problems({"num_outputs": WHOLE}, params={"num_outputs": 4})
    assert found == {"params.num_outputs": "nothing: say n"}


def test_said_twice() -> None:
    """One field under two names is refused, whichever comes first."""
    fields = {"steps": WHOLE, "num_inference_steps": WHOLE, "guidance_scale": WHOLE}
    assert _fit(fields, params={"steps": 1, "num_inference_steps": 2}).values["steps"] == 1
    found = _problems(fields, params={"cfg": 1, "guidance_scale": 2})
    assert "says it already" in found["params.cfg"]


@pytest.mark.parametrize(
    ("seed", "fragment", "comes_to"),
    [
        (7, {}, 7),
        (2**31 - 1, {}, 2**31 - 1),
        (2**31, {}, 0),
        (2**53 - 1, {"maximum": 99}, (2**53 - 1) % 100),
        (2**53 - 1, {"maximum": 2**60}, 2**53 - 1),
        (3, {"minimum": 10, "maximum": 12}, 10),
        (5, {"minimum": -1}, 5),
    ],
)
def test_seeds_are_folded(seed: int, fragment: dict[str, Any], comes_to: int) -> None:
    """A seed that the model takes stays; any other comes to one that it takes, always the same."""
    assert folded(seed, fragment) == comes_to


def test_sides_become_a_ratio() -> None:
    """Two sides become the ratio that they have, if the model has it."""
    found = _fit({"aspect_ratio": RATIO}, params={"width": 1024, "height": 768})
    assert found.values == {"prompt": "a lamp", "aspect_ratio": "4:3"}
    assert (
        "4:3"
        in _problems({"aspect_ratio": RATIO}, params={"width": 9, "height": 1})["params.width"]
    )
    assert "both" in _problems({"aspect_ratio": RATIO}, params={"height": 9})["params.height"]


def test_a_ratio_becomes_sides() -> None:
    """A ratio becomes sides of about as many pixels as the model makes by itself."""
    side = {"type": "integer", "default": 1024, "minimum": 256, "maximum": 1440}
    found = _fit({"width": side, "height": side}, params={"aspect_ratio": "16:9"}).values
    assert (found["width"], found["height"]) == (1360, 768)
    other = _fit({"width": side, "height": side}, params={"aspect_ratio": "1:2", "width": 300})
    assert other.values["height"] == 608


@pytest.mark.parametrize("ratio", ["1e99999999", "1:0", "0", "21:1", "1:", "nan", "4 : 3"])
def test_what_is_no_ratio(ratio: str) -> None:
    """Anything but two plain numbers is refused at once, however large it would be."""
    side = {"type": "integer", "default": 1024}
    problems = _problems({"width": side, "height": side}, params={"aspect_ratio": ratio})
    assert "1:20" in problems["params.aspect_ratio"]


def test_sides_beside_a_ratio() -> None:
    """Where sides only count with a ratio that says so, it is said."""
    fields = {"width": WHOLE, "height": WHOLE, "aspect_ratio": RATIO}
    assert _fit(fields, params={"width": 64}).values["aspect_ratio"] == "custom"
    assert _fit(fields, params={"aspect_ratio": "4:3"}).values["aspect_ratio"] == "4:3"


def test_sides_as_a_size() -> None:
    """Sides are found among sizes that are written as one."""
    fields = {"size": {"type": "string", "enum": ["1024x1024", "512*768"]}}
    assert _fit(fields, params={"width": 512, "height": 768}).values["size"] == "512*768"


def test_no_size_at_all() -> None:
    """A size is not dropped in silence by a model that has none."""
    assert "nothing" in _problems({}, params={"width": 64, "height": 64})["params.width"]


def test_files_go_where_they_belong() -> None:
    """A picture goes into the field for pictures, before the mask, and never into a video."""
    fields = {"mask": FILE, "video": FILE, "image": FILE}
    found = _fit(fields, inputs=_files("image/png", "image/png"))
    assert [one.field for one in found.placed] == ["image", "mask"]
    assert filled(found.placed, ["a", "b"]) == {"image": "a", "mask": "b"}
    assert _fit(fields, inputs=_files("video/mp4")).placed[0].field == "video"


def test_files_fill_a_list() -> None:
    """A field for many takes all of its sort, up to its limit."""
    fields = {"images": {"type": "array", "items": FILE, "maxItems": 2}}
    found = _fit(fields, inputs=_files("image/png", "image/png"))
    assert filled(found.placed, ["a", "b"]) == {"images": ["a", "b"]}
    found_wrong = _problems(fields, inputs=_files("image/png", "image/png", "image/png"))
    assert "at most 2" in found_wrong["inputs.2"]


def test_a_file_too_many() -> None:
    """A file that the model has no place for is refused."""
    assert "none" in _problems({}, inputs=_files("image/png"))["inputs.0"]


def test_required() -> None:
    """What the model cannot do without is demanded: files as inputs, the rest as parameters."""
    fields = {"image": FILE, "style": TEXT, "size": {"type": "string", "default": "s"}}
    found = _problems(fields, ("prompt", "image", "style", "size"))
    assert set(found) == {"inputs", "params.style"}
    given = _fit(fields, ("image",), params={"image": "https://a.example/x.png"})
    assert given.values["image"] == "https://a.example/x.png"


def test_without_a_schema() -> None:
    """A model of which nothing is known gets what was said, as it was said."""
    assert fit(_asked(params={"x": 1}), None).values == {"prompt": "a lamp", "x": 1}
    with pytest.raises(Refused):
        fit(_asked(n=2), None)


def test_what_is_shown() -> None:
    """The parameters that are shown are without what stands beside them."""
    shape = Shape(
        {"prompt": TEXT, "seed": WHOLE, "image": FILE, "style": TEXT}, ("prompt", "image", "style")
    )
    properties, required = params_of(shape)
    assert list(properties) == ["image", "style"] and required == ["style"]
