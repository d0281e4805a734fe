"""The hand-written schemas of bodies and the readers of `commands.py` take the same.

One list of examples is fed to both. JSON Schema takes 1.0 for an integer, which the
readers do not; no example says so.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from safelight.schema import types
from safelight_protocol.batch import MAX_TASKS, read_batch
from safelight_protocol.codes import Refused
from safelight_protocol.commands import (
    MAX_INPUTS,
    MAX_N,
    read_app,
    read_generate,
    read_join_gallery,
    read_join_task,
    read_native,
)
from safelight_protocol.fields import MAX_PROMPT, MAX_SEED
from safelight_protocol.schema import closure, located
from safelight_protocol.schema.bodies import up_to

IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a monk"}

SEEDS = [0, 7, 2**53 + 1, MAX_SEED, "7", "0", str(MAX_SEED), "0" * 19 + "7", None]
NO_SEEDS = [-1, MAX_SEED + 1, "abc", "", "-1", str(MAX_SEED + 1), "9" * 21, 1.5, True, [], "7 "]
NO_PARAMS: list[Any] = [None, [], "x"]
NO_INPUTS: list[Any] = [None, {}, [{}], ["a"]]

TAKEN: dict[str, list[Any]] = {
    "CreateTask": [
        IMAGE,
        *({"kind": kind, "prompt": "x"} for kind in ("video", "text")),
        *(IMAGE | {"seed": seed} for seed in SEEDS),
        IMAGE | {"prompt": "x" * MAX_PROMPT},
        IMAGE | {"prompt": " é "},
        *(IMAGE | {"id": id} for id in ("a", "A-b_9", "x" * 64, None, "llmx", "my_llm_")),
        *(IMAGE | {"model": model} for model in ("local/paint", "x" * 200, None)),
        IMAGE | {"params": {"width": 512, "odd": [1]}},
        *(IMAGE | {"n": n} for n in (1, MAX_N, None)),
        *(IMAGE | {"reuse": reuse} for reuse in ("never", "inflight", "completed", None)),
        IMAGE | {"id": "a", "reuse": None},
        IMAGE | {"id": None, "reuse": "never"},
        *(IMAGE | {"request_id": key} for key in ("k", "x" * 255, None)),
        *(IMAGE | {"max_cost": cost} for cost in (0, 0.5, 3, None)),
        IMAGE | {"backend": "gpu-1", "webhook": None},
        IMAGE | {"webhook": "https://example.com"},
        IMAGE | {"webhook": {"url": "https://example.com", "events": ["failed"]}},
        IMAGE | {"inputs": []},
        IMAGE | {"inputs": [{"task": "a"}] * MAX_INPUTS},
        IMAGE | {"inputs": [{"task": "a"}, {"artifact": "b"}, {"task": "a", "artifact": None}]},
    ],
    "AppCreateTask": [
        {"input_data": {"type": "image", "prompt": "Test image"}},
        {"input_data": {"prompt": "x", "aspect_ratio": "4:3", "type": 5}},
        {"input_data": {"prompt": "x", "model": None}, "model": "gpt-4.1", "other": 1},
        {"input_data": {"prompt": "x", "backend": None}, "backend": "gpu-1"},
        *({"input_data": {"prompt": "x", "seed": seed}} for seed in SEEDS),
    ],
    "CreateTasks": [
        {"tasks": [IMAGE]},
        {"tasks": [IMAGE, {"input_data": {"prompt": "x"}}]},
        {"tasks": [IMAGE] * MAX_TASKS},
    ],
    "GenerateText": [
        {"prompt": "x", "model": "gpt-4.1", "options": {"max_words": 3}},
        {"prompt": "x", "model": None, "options": None, "request_id": "r"},
    ],
    "GeneratePayload": [
        {"prompt": "x", "model": None, "options": {"aspect_ratio": "1:1"}},
        {"prompt": "x", "backend": "gpu-1"},
        {"prompt": "x", "options": "ignored", "anything": 1, "request_id": "r"},
    ],
    "JoinTaskPayload": [
        {},
        {"after": "5e8f-3", "previews": "binary", "events": True, "unknown": 1},
        {"after": 0, "log": "5e8f", "previews": "url"},
        {"after": None, "log": None, "previews": None, "create": None},
        {"create": IMAGE},
        {"create": {"input_data": {"prompt": "x"}}},
    ],
    "JoinGalleryPayload": [{}, {"after": 0, "log": "5e8f", "limit": 200, "x": 1}, {"after": None}],
}

REFUSED: dict[str, list[Any]] = {
    "CreateTask": [
        {},
        [],
        None,
        {"kind": "image"},
        {"prompt": "x"},
        *(IMAGE | {"kind": kind} for kind in ("audio", None, 1)),
        *(IMAGE | {"prompt": prompt} for prompt in ("", " \n", "x" * (MAX_PROMPT + 1), None, 5)),
        *(IMAGE | {"seed": seed} for seed in NO_SEEDS),
        *(
            IMAGE | {"id": id}
            for id in ("", "a b", "a/b", "x" * 65, "llm_a", "chat_", "swift_1", 5)
        ),
        *(IMAGE | {"model": model} for model in ("", "x" * 201, 5)),
        *(IMAGE | {"params": params} for params in NO_PARAMS),
        *(IMAGE | {"n": n} for n in (0, MAX_N + 1, "1", True)),
        IMAGE | {"reuse": "always"},
        IMAGE | {"id": "a", "reuse": "never"},
        *(IMAGE | {"request_id": key} for key in ("", "x" * 256, 5)),
        *(IMAGE | {"max_cost": cost} for cost in (-1, "1", True)),
        IMAGE | {"webhook": "ftp://example.com"},
        IMAGE | {"webhook": {"url": "https://example.com", "more": 1}},
        IMAGE | {"webhook": {"url": "https://example.com", "events": ["text"]}},
        IMAGE | {"backend": ""},
        *(IMAGE | {"inputs": inputs} for inputs in NO_INPUTS),
        IMAGE | {"inputs": [{"task": "a", "artifact": "b"}]},
        IMAGE | {"inputs": [{"task": "a", "other": "b"}]},
        IMAGE | {"inputs": [{"task": 5}]},
        IMAGE | {"inputs": [{"task": "a"}] * (MAX_INPUTS + 1)},
        IMAGE | {"sed": 1},
    ],
    "CreateTasks": [
        {},
        [],
        {"tasks": []},
        {"tasks": IMAGE},
        {"tasks": None},
        {"tasks": [IMAGE] * (MAX_TASKS + 1)},
        {"tasks": [IMAGE], "reuse": "never"},
    ],
    "GenerateText": [{}, {"prompt": " "}, {"prompt": "x", "model": 5}],
    "AppCreateTask": [
        {"input_data": None},
        {"input_data": []},
        {"input_data": {"type": "image"}},
        {"input_data": {"prompt": " "}},
        {"input_data": {"prompt": "x", "model": 5}},
        {"input_data": {"prompt": "x"}, "model": 5},
        {"input_data": {"prompt": "x", "request_id": ""}},
        *({"input_data": {"prompt": "x", "seed": seed}} for seed in NO_SEEDS),
    ],
    "GeneratePayload": [
        {},
        {"prompt": ""},
        {"prompt": " "},
        {"prompt": 5},
        {"prompt": "x", "seed": -1},
    ],
    "JoinTaskPayload": [
        {"after": -1},
        {"after": "x" * 101},
        {"after": []},
        {"after": True},
        {"log": ""},
        {"previews": "png"},
        {"events": 1},
        {"create": {"kind": "image"}},
        {"create": []},
        {"create": {"input_data": {}}},
    ],
    "JoinGalleryPayload": [{"after": -1}, {"after": "5"}, {"limit": 0}, {"limit": 201}, {"log": 5}],
}

READERS: dict[str, Callable[[Any], object]] = {
    "CreateTask": read_native,
    "AppCreateTask": read_app,
    "CreateTasks": read_batch,
    "GenerateText": lambda body: read_generate("text", body, topic_id=None),
    "GeneratePayload": lambda payload: read_generate("image", payload, topic_id=None),
    "JoinTaskPayload": lambda payload: read_join_task(payload, "t1"),
    "JoinGalleryPayload": read_join_gallery,
}


def cases(examples: dict[str, list[Any]]) -> list[Any]:
    """Each example with the name of its body; long ones are cut in the test's name."""
    return [
        pytest.param(name, example, id=f"{name}-{json.dumps(example)[:60]}")
        for name, several in examples.items()
        for example in several
    ]


def is_valid(name: str, value: Any) -> bool:
    """Whether the published schema takes a value."""
    found = located(closure(types.components(), [name]), "#/$defs/")
    return Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": found}).is_valid(value)


@pytest.mark.parametrize(("name", "value"), cases(TAKEN))
def test_both_take_it(name: str, value: Any) -> None:
    """What the reader takes fits the schema."""
    READERS[name](value)
    assert is_valid(name, value)


@pytest.mark.parametrize(("name", "value"), cases(REFUSED))
def test_both_refuse_it(name: str, value: Any) -> None:
    """What the reader refuses does not fit the schema."""
    with pytest.raises(Refused):
        READERS[name](value)
    assert not is_valid(name, value)


def test_the_native_body_has_the_same_fields() -> None:
    """The reader's own list of fields is the schema's."""
    with pytest.raises(Refused) as refused:
        read_native(IMAGE | {"zzz": 1})
    listed = re.search(r"known: (.*)\)", str(refused.value.details[0]["expected"]))
    assert listed is not None
    assert set(listed[1].split(", ")) == set(types.components()["CreateTask"]["properties"])


@pytest.mark.parametrize("limit", [10, 19, 205, 1000, MAX_SEED])
def test_decimal_strings_end_at_the_limit(limit: int) -> None:
    """The pattern takes every number up to its limit and the next one no more."""
    pattern = re.compile(up_to(limit))
    near = {n for n in range(max(0, limit - 40), limit + 40)} | {0, 1, limit * 10 + 9}
    assert {n for n in near if pattern.match(str(n))} == {n for n in near if n <= limit}
