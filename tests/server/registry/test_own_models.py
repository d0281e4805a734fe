"""An operator's own file of models, laid over those that are shipped."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from safelight.registry import BadCatalog, Places, Registry, workflows
from safelight_protocol.codes import Refused
from safelight_protocol.task import Asked

EXAMPLE = Path(__file__).parents[3] / "docs/models.md"
TYPES = {"kerniegen": "comfyui", "studio": "comfyui"}
ROW = """
[[models]]
name = "mine/x"
label = "X"
kind = "image"
provider = "local"
schema = "picture"
order = 5
"""

PRICED = ROW + "price = {{ rates = {{ image = 2000 }}, as_of = {} }}"


def load(folder: Path, text: str) -> Registry:
    file = folder / "own.toml"
    file.write_text(text)
    return Registry.load(
        frozenset({"local", "comfyui"}), places=Places(TYPES, "kerniegen"), own=str(file)
    )


def test_rows_are_added(tmp_path: Path) -> None:
    """A new name is a new model, beside those that are shipped, in its place of the order."""
    registry = load(tmp_path, ROW)
    names = [model.name for model in registry.models("image")]
    assert names[0] == "mine/x"
    assert "local/paint" in names
    asked = Asked(kind="image", prompt="p", model="mine/x")
    assert registry.resolve(asked, draw_seed=lambda: 1).resolved.params["steps"] == 20


def test_a_row_of_equal_name_replaces(tmp_path: Path) -> None:
    """The whole row, with its aliases, and nothing else."""
    text = ROW.replace("mine/x", "local/paint").replace('label = "X"', 'label = "Mine"\nvip = true')
    registry = load(tmp_path, text + "price_micros = 1500\n")
    paint = next(model for model in registry.models() if model.name == "local/paint")
    assert (paint.label, paint.vip, paint.price, paint.aliases) == ("Mine", True, 0.0015, ())
    assert not registry.has_model("paint")
    assert registry.has_model("slow")


def test_tables_are_laid_over(tmp_path: Path) -> None:
    """Providers, schemas and the app's defaults are replaced or added one by one."""
    text = """
    [providers]
    mine = { label = "My own" }
    [app.image]
    model = "local/slow"
    [schemas.picture]
    open = true
    """
    registry = load(tmp_path, text)
    assert registry.provider_label("mine") == "My own"
    asked = Asked(kind="image", prompt="p", app=True, params={"steps": 3, "anything": [1]})
    made = registry.resolve(asked, draw_seed=lambda: 1)
    assert made.resolved.model == "local/slow"
    assert made.resolved.params == {"steps": 3, "anything": [1]}
    assert registry.provider_label("replicate") == "Replicate"


def test_a_pattern_is_told_as_it_is_meant(tmp_path: Path) -> None:
    """The whole value has to match it, also for who goes by the JSON Schema."""
    row = ROW + "[models.params]\ntone = { type = 'string', pattern = 'a|b', examples = ['a'] }"
    registry = load(tmp_path, row)
    assert registry.schema("mine/x")["properties"]["tone"]["pattern"] == "^(?:a|b)$"
    for tone, good in (("a", True), ("ab", False)):
        asked = Asked(kind="image", prompt="p", model="mine/x", params={"tone": tone})
        if good:
            assert registry.resolve(asked, draw_seed=lambda: 1).resolved.params["tone"] == tone
        else:
            with pytest.raises(Refused, match="a string such as a"):
                registry.resolve(asked, draw_seed=lambda: 1)


def test_without_a_file_there_are_those_that_are_shipped() -> None:
    """Nothing else is read, and the file that is shipped says what its models stand for."""
    assert workflows(None) == {
        "comfyui/txt2img": "txt2img",
        "comfyui/img2img": "img2img",
        "comfyui/animation": "animation",
    }


def test_the_example_of_the_docs_works(tmp_path: Path) -> None:
    """The file that docs/models.md shows is read, and does what the page says."""
    text = EXAMPLE.read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    file = next(block for block in shown if "[[models]]" in block)
    registry = load(tmp_path, file)
    asked = Asked(kind="image", prompt="p", model="poster", params={"sampler": "dpmpp_2m"})
    made = registry.resolve(asked, draw_seed=lambda: 1).resolved
    assert (made.model, made.backend) == ("mine/poster", "studio")
    assert (made.params["width"], made.params["height"]) == (832, 1216)
    assert (made.params["sampler"], made.params["steps"]) == ("dpmpp_2m", 30)
    assert workflows(str(tmp_path / "own.toml"))["mine/poster"] == "poster"
    listed = {model.name: model for model in registry.models()}
    assert listed["mine/poster"].price == 0.002
    assert listed["bytedance/seedream-3"].replaced_by == "mine/poster"


BAD = {
    "x = ": "own.toml cannot be read: ",
    "modles = []": 'own.toml: "modles": no such table; did you mean models?',
    "models = 3": "own.toml: models: found 3, expected [[models]] tables",
    "[[models]]\nlabel = 'X'": "own.toml: models[1].name: found nothing, expected a value",
    ROW + "ordr = 3": "own.toml: models.mine/x.ordr: no such field; did you mean order?",
    ROW.replace("= 5", "= 'high'"): 'models.mine/x.order: found "high", expected `int`, got `str`',
    ROW.replace("image", "smell"): 'models.mine/x.kind: found "smell", invalid enum value',
    ROW.replace('"local"', '"locla"'): "provider: no provider locla; did you mean local?",
    ROW.replace("picture", "pictures"): "schema: no schema pictures; did you mean picture?",
    ROW.replace("mine/x", "a name"): 'models.a name.name: found "a name", expected `str` matching',
    ROW + "price_micros = -1": "models.mine/x.price_micros: found -1, expected `int` >= 0",
    PRICED.format(
        "'yesterday'"
    ): 'own.toml: models.mine/x.price.as_of: found "yesterday", expected a'
    " date such as 2026-11-21, or a month of one",
    PRICED.format("'2026-02-30'"): 'models.mine/x.price.as_of: found "2026-02-30", expected a date',
    PRICED.format("'2026-13'"): 'models.mine/x.price.as_of: found "2026-13", expected a date',
    PRICED.format("'20261121'"): 'models.mine/x.price.as_of: found "20261121", expected a date',
    PRICED.format("2026"): "models.mine/x.price.as_of: found 2026, expected `str`, got `int`",
    ROW + "shutdown_date = 'soon'": 'models.mine/x.shutdown_date: found "soon", ',
    ROW + "aliases = ['slow']": "models.mine/x.aliases: found slow twice",
    ROW + "aliases = ['local/paint']": "models.mine/x.aliases: found local/paint twice",
    ROW + ROW: "own.toml: models.mine/x: found twice, expected once in a file",
    ROW + "min_inputs = 2\nmax_inputs = 1": "max_inputs: found 1, expected min_inputs (2) or more",
    ROW + "backends = ['studio']": 'models.mine/x.backends: found "studio", expected nothing',
    ROW.replace('"local"', '"comfyui"') + "backends = ['stduio']": "near it: studio",
    ROW + "[models.params]\nsteps = { type = 'whole' }": 'params.steps.type: found "whole", ',
    ROW + "[models.params]\nx = { type = 'integer', minimun = 1 }": "did you mean minimum?",
    ROW + "[models.params]\nx = { type = 'string', pattern = '(' }": 'params.x.pattern: found "("',
    ROW
    + "[models.params]\nx = { type = 'object', format = 'comfy' }": "no format comfy; expected one",
    ROW
    + "[models.params]\nsteps = { type = 'integer', default = 0, minimum = 1 }": "steps: found 0",
    "[schemas.picture]\nrequired = ['steps']": "required: no parameter steps",
    "[schemas.picture]\nlonger_side = 5": "longer_side: expected width, height, and aspect_ratio",
    "[app.smell]\nmodel = 'x'": "app.smell: no such kind; expected one of image, video, text",
    "[app.image]\nmodel = 'x'": "own.toml: app.image.model: x is no image model",
    "[providers]\nmine = 3": "own.toml: providers.mine: found 3, expected a table",
}


@pytest.mark.parametrize("said", ["'2026-11-21'", "2026-11-21", "'2026-11'"])
def test_a_price_has_a_date(tmp_path: Path, said: str) -> None:
    """A day in quotes or without, or the month where no day is known; it is told with quotes."""
    listed = {model.name: model for model in load(tmp_path, PRICED.format(said)).models()}
    priced = listed["mine/x"].pricing
    assert priced is not None and priced.as_of == said.strip("'")


@pytest.mark.parametrize(("text", "message"), BAD.items(), ids=range(len(BAD)))
def test_whatever_is_wrong_is_told_at_start(tmp_path: Path, text: str, message: str) -> None:
    """Every mistake is refused with the row and the field, and what was found there."""
    with pytest.raises(BadCatalog) as caught:
        load(tmp_path, text)
    assert message in str(caught.value)


def test_a_file_that_is_named_must_be_there(tmp_path: Path) -> None:
    """Without it the models that were meant would be missing."""
    with pytest.raises(BadCatalog, match=r"nowhere\.toml cannot be read"):
        Registry.load(frozenset(), own=str(tmp_path / "nowhere.toml"))
