"""From what is asked for to what a model is given: our words in its words, all held to its schema.

What has the same name here and there is handed on; what has another name there, prompt, seed
and count too, goes by the table below. Everything wrong is told at once, by the name that
the caller used, with what was found and what is expected. Pure.
"""

from __future__ import annotations

from typing import Any

import msgspec

from safelight_protocol.codes import Refused
from safelight_protocol.fields import Wrong, invalid, one_of
from safelight_protocol.identity import shown

from ..base import Wanted
from .inputs import Placed, placed, sort_of
from .schema import Fields, Fragment, Shape
from .sizes import sized
from .values import fitted, is_file, is_files

PROMPT = ("prompt", "text", "text_prompt", "input_text", "caption", "query")
SEED = ("seed", "random_seed", "noise_seed")
COUNT = ("num_outputs", "num_images", "number_of_images", "n", "num_samples", "batch_size")

OTHERS: dict[str, tuple[str, ...]] = {
    "negative_prompt": ("negative", "negative_text"),
    "aspect_ratio": ("ratio",),
    "duration": ("seconds", "duration_seconds", "video_length"),
    "steps": ("num_inference_steps", "inference_steps", "num_steps"),
    "max_tokens": ("max_new_tokens", "max_output_tokens", "max_completion_tokens", "max_length"),
    "cfg": ("guidance_scale", "guidance", "cfg_scale"),
}
"""What a common parameter is called where it is not called that."""

MOST_SEED = 2**31 - 1
"""Where a model does not say: what stands behind it often takes no more. A seed above is
brought into the range, always to the same one."""

MOST_PROBLEMS = 8

Detail = dict[str, object]


class Fit(msgspec.Struct, frozen=True):
    """What the model is given: values by field, but for the files, of which `placed` says
    where they go. `names` is what the caller calls a field."""

    values: dict[str, Any]
    placed: tuple[Placed, ...]
    names: dict[str, str]


def fit(wanted: Wanted, shape: Shape | None) -> Fit:
    """Raises Refused `invalid`, naming everything that the model would not take. Without a
    shape nothing is known, and everything is handed on under its own name."""
    if shape is None:
        return _unknown(wanted)
    fitting = _Fitting(wanted, shape.fields)
    fitting.common()
    fitting.params()
    places = fitting.files()
    fitting.required(shape.required, {where.field for where in places})
    if fitting.problems:
        raise invalid(fitting.problems[:MOST_PROBLEMS])
    return Fit(fitting.values, tuple(places), fitting.names)


def params_of(shape: Shape) -> tuple[dict[str, Fragment], list[str]]:
    """What of a shape is said in `params`, and what of that is required: not what has a place
    of its own beside them, and a file need not be there, for it may be one of `inputs`."""
    beside = {found for names in (PROMPT, SEED, COUNT) if (found := _first(names, shape.fields))}
    told = {name: one for name, one in shape.fields.items() if name not in beside}
    required = [
        name
        for name in shape.required
        if name in told and not is_file(told[name]) and not is_files(told[name])
    ]
    return told, required


class _Fitting:
    """One request on its way, and what was found wrong with it."""

    def __init__(self, wanted: Wanted, fields: Fields) -> None:
        self._wanted = wanted
        self._fields = fields
        self.values: dict[str, Any] = {}
        self.names: dict[str, str] = {}
        self.problems: list[Detail] = []
        self._beside: dict[str, str] = {}  # fields that are no parameters, and what they are

    def common(self) -> None:
        """Prompt, seed and count, if the model has them."""
        wanted, fields = self._wanted, self._fields
        prompt, seed, count = (_first(names, fields) for names in (PROMPT, SEED, COUNT))
        said = {prompt: "prompt", seed: "seed", count: "n"}
        self._beside = {field: name for field, name in said.items() if field is not None}
        if prompt is not None:
            self._set(prompt, "prompt", wanted.prompt)
        if seed is not None:
            self._set(seed, "seed", folded(wanted.seed, fields[seed]))
        if count is not None and wanted.n > 1:
            self._set(count, "n", wanted.n)
        elif wanted.n > 1:
            self._wrong("n", wanted.n, f"1 for {wanted.model}")

    def params(self) -> None:
        """The parameters, by the model's names."""
        fields = self._fields
        given = {name: value for name, value in self._wanted.params.items() if value is not None}
        try:
            given = sized(given, fields)
        except Wrong as wrong:
            given = {name: value for name, value in given.items() if name not in SIZES}
            self._wrong(f"params.{wrong.at}", wrong.found, str(wrong))
        for name, value in given.items():
            field = _first((name, *OTHERS.get(name, ())), fields)
            if field is None:
                self._wrong(f"params.{name}", value, self._instead(name))
            elif field in self._beside:
                self._wrong(f"params.{name}", value, f"nothing: say {self._beside[field]}")
            elif field in self.values or (field != name and field in given):
                self._wrong(f"params.{name}", value, f"nothing: `{field}` says it already")
            else:
                self._set(field, f"params.{name}", value)

    def files(self) -> list[Placed]:
        """Where the files go."""
        try:
            return placed(self._wanted.inputs, self._fields, self.values)
        except Wrong as wrong:
            self._wrong(f"inputs.{wrong.at}", wrong.found, str(wrong))
            return []

    def required(self, names: tuple[str, ...], given: set[str]) -> None:
        """What the model cannot do without."""
        for name in names:
            if name in self.values or name in given or "default" in self._fields[name]:
                continue
            if any(problem["field"] == self.names.get(name) for problem in self.problems):
                continue
            fragment = self._fields[name]
            if is_file(fragment) or is_files(fragment):
                sort = sort_of(name) or "file"
                self._missing("inputs", f"one: the model needs a {sort} (`{name}`)")
            else:
                self._missing(f"params.{name}", f"a value: {self._wanted.model} needs it")

    def _set(self, field: str, said: str, value: Any) -> None:
        self.names[field] = said
        try:
            self.values[field] = fitted(value, self._fields[field])
        except Wrong as wrong:
            at = f"{said}.{wrong.at}" if wrong.at else said
            self._wrong(at, wrong.found if wrong.at else value, str(wrong))

    def _wrong(self, field: str, found: Any, expected: str) -> None:
        self.problems.append({"field": field, "found": shown(found), "expected": expected})

    def _missing(self, field: str, expected: str) -> None:
        self.problems.append({"field": field, "found": "nothing", "expected": expected})

    def _instead(self, name: str) -> str:
        known = [field for field in self._fields if field not in self._beside]
        return f"a parameter of the model: {one_of(name, known)}"


SIZES = ("width", "height", "aspect_ratio")


def folded(seed: int, fragment: Fragment) -> int:
    """A seed that the model takes: itself if it does, else one that always comes of it."""
    low, high = fragment.get("minimum"), fragment.get("maximum")
    least = max(low, 0) if isinstance(low, int) else 0
    most = high if isinstance(high, int) and high >= least else MOST_SEED
    return seed if least <= seed <= most else least + seed % (most - least + 1)


def _unknown(wanted: Wanted) -> Fit:
    if wanted.n > 1 or wanted.inputs:
        what = "n" if wanted.n > 1 else "inputs"
        expected = "1" if wanted.n > 1 else "none"
        raise Refused(
            "invalid",
            f"{what}: the provider does not tell what {wanted.model} takes.",
            [{"field": what, "found": str(wanted.n), "expected": f"{expected} for this model"}],
        )
    values = {name: value for name, value in wanted.params.items() if value is not None}
    return Fit({"prompt": wanted.prompt, **values}, (), {})


def _first(names: tuple[str, ...], fields: Fields) -> str | None:
    return next((name for name in names if name in fields), None)
