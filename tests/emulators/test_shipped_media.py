"""The deployed app's own requests, and shipped models of two more providers, at their emulators.

What an operator would do first: the settings that the emulators print, and a budget. The app
knows nothing of prices, so its bodies say nothing of them.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2
import pytest
from PIL import Image

from safelight.emulators import emulator
from safelight.emulators.replicate import models as replicate_models
from safelight.emulators.superduperai import prices as superduper_prices
from safelight.registry.catalog import read_catalog
from safelight.registry.rows import ModelRow
from tests.doubles.emulated import Emulated, emulated
from tests.doubles.process import started
from tests.emulators.test_shipped_models import FromFile

NAMES = ("replicate", "superduperai", "gemini")
CATALOG = read_catalog()
KNOWN = set(replicate_models.BY_NAME) | {
    f"superduperai/{name}" for name in superduper_prices.OFFERS
}
ROWS = [row for row in CATALOG.models if row.provider in NAMES[:2] and row.shutdown_date is None]


@pytest.fixture(scope="module")
def all_of_it(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[str, dict[str, Emulated]]]:
    """The address of the server, and the emulators."""
    folder: Path = tmp_path_factory.mktemp("media")
    with ExitStack() as stack:
        there = {name: stack.enter_context(emulated(folder, name)) for name in NAMES}
        said = [emulator(name).settings(one.url, one.key) for name, one in there.items()]
        (folder / "safelight.toml").write_text("budget_per_day = 100\n" + "\n".join(said))
        yield stack.enter_context(started(FromFile(folder / "data"))).url, there


def created(door: httpx2.Client, body: dict[str, Any]) -> dict[str, Any]:
    """Ask for it; the event that ends it."""
    made = door.post("/api/tasks", json=body)
    assert made.status_code == 202, made.text
    with door.stream("GET", f"/api/tasks/{made.json()['data']['task_id']}/events") as stream:
        told = [json.loads(line[6:]) for line in stream.iter_lines() if line[:5] == "data:"]
    end: dict[str, Any] = told[-1]
    return end


def picture(door: httpx2.Client) -> str:
    """A small picture, uploaded."""
    file = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(file, "PNG")
    files = {"file": ("a.png", file.getvalue(), "image/png")}
    answer = door.post("/api/uploads", files=files)
    assert answer.status_code in (200, 201), answer.text
    id: str = answer.json()["data"]["id"]
    return id


@pytest.mark.slow
@pytest.mark.parametrize(
    ("type", "runs"),
    [
        ("image", "bytedance/seedream-3"),
        ("video", "bytedance/seedance-1-pro"),
        ("text", "gemini-2.5-flash-lite"),
    ],
)
def test_the_app_makes_its_defaults_from_a_budget(
    all_of_it: tuple[str, dict[str, Emulated]], type: str, runs: str
) -> None:
    """Its body names no model and no price: it is accepted, runs once, and its charge is known
    and in the sums."""
    url, there = all_of_it
    with httpx2.Client(base_url=url, timeout=30) as door:
        before = door.get("/api/usage").json()["data"]["total_micros"]
        end = created(door, {"input_data": {"type": type, "prompt": f"a {type} of 12 words"}})
        usage = door.get("/api/usage").json()["data"]
    assert end["type"] == "completed", end
    assert [run["model"] for one in there.values() for run in one.runs()].count(runs) == 1
    charge = end["charge"]
    assert charge["verdict"] == "charged" and charge["amount_micros"] > 0, charge
    assert usage["total_micros"] - before == charge["amount_micros"]
    assert usage["budget"]["held_micros"] == 0


def test_the_emulators_know_every_row() -> None:
    """What is shipped for Replicate and SuperDuperAI can be tried without a key."""
    assert {row.name for row in ROWS} <= KNOWN


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_a_shipped_model_can_be_tried(
    all_of_it: tuple[str, dict[str, Emulated]], row: ModelRow
) -> None:
    """It completes, it ran once, and not somewhere else in its place."""
    url, there = all_of_it
    before = len(there[row.provider].runs())
    body: dict[str, Any] = {"kind": row.kind, "model": row.name, "prompt": "a lamp, tried"}
    with httpx2.Client(base_url=url, timeout=30) as door:
        if row.min_inputs:
            body["inputs"] = [{"upload": picture(door)}]
        end = created(door, body | {"max_cost": 50})
    assert end["type"] == "completed", end
    assert end["result_data"]["provider"].lower() == row.provider
    assert len(there[row.provider].runs()) == before + 1
    assert end["charge"]["verdict"] != "unknown", end["charge"]
