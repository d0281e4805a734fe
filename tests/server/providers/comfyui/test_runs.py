"""Recorded runs of real servers, replayed on a socket: what the adapter makes of them."""

from __future__ import annotations

from typing import Any

import pytest

from safelight.providers.base import Done, Ended, Found, Made, Moved, Never, Shown
from tests.doubles.comfy import recorded
from tests.doubles.comfy_rig import Rig, end

RUNS = [(version, name) for version, runs in recorded()["runs"].items() for name in runs]
ENDS: dict[str, Any] = {
    "execution_error": Never("node_failed", "node 2 (LabSteps): lab failure at step 3"),
    "execution_error_keeps_earlier_outputs": Never(
        "node_failed", "node 2 (LabSteps): lab failure at step 3"
    ),
    "execution_error_oom": Never(
        "out_of_memory",
        "node 2 (LabOOM) ran out of memory; ask for a smaller size or fewer at once",
    ),
    "interrupt_by_prompt_id": Ended(),
    "interrupt_ksampler": Ended(),
}


async def replay(rig: Rig, version: str, name: str) -> Any:
    """Start the recorded graph, play what was recorded, and give the outcome."""
    run = recorded()["runs"][version][name]
    asked = rig.prediction(params={"workflow": run["graph"]})
    handle, following = await rig.start(asked)
    await rig.double.replay(run, handle, rig.digest)
    return await end(following)


@pytest.mark.parametrize(("version", "name"), RUNS)
async def test_a_recorded_run_ends_as_it_did(rig: Rig, version: str, name: str) -> None:
    """Each recorded run of both versions has the outcome that its history tells."""
    outcome = await replay(rig, version, name)
    if name == "execution_error_keeps_earlier_outputs":
        assert isinstance(outcome, Never) and outcome.code == "node_failed"
        return
    assert outcome == ENDS.get(name, Done())


@pytest.mark.parametrize(("version", "name"), RUNS)
async def test_progress_never_falls(rig: Rig, version: str, name: str) -> None:
    """In every recorded run the progress told is between 0 and 1 and grows."""
    await replay(rig, version, name)
    told = [m.progress for m in rig.heard.of(Moved) if m.progress is not None]
    assert told == sorted(told)
    assert all(0 <= p <= 1 for p in told)


@pytest.mark.parametrize("version", ["0.33.0", "0.3.64"])
async def test_a_sampler_counts_by_its_steps(rig: Rig, version: str) -> None:
    """Of seven nodes one is a sampler of four steps: each step counts as much as a whole
    other node, so that four nodes before it are 4 of 10, and its end is 8 of 10."""
    await replay(rig, version, "success_txt2img_preview_metadata")
    at_sampler = {m.step: m.progress for m in rig.heard.of(Moved) if m.steps == 4}
    assert at_sampler == pytest.approx({1: 0.5, 2: 0.6, 3: 0.7, 4: 0.8})
    assert rig.heard.of(Moved)[-1].message == "SaveImage"


@pytest.mark.parametrize(
    ("name", "media_type"),
    [
        ("success_txt2img_preview_metadata", "image/jpeg"),
        ("success_txt2img_legacy_preview", "image/jpeg"),
        ("success_custom_steps_png_preview", "image/png"),
    ],
)
async def test_previews_are_passed_on(rig: Rig, name: str, media_type: str) -> None:
    """Pictures of both forms are shown, with the type that their bytes have."""
    await replay(rig, "0.33.0", name)
    shown = rig.heard.of(Shown)
    assert shown and {s.media_type for s in shown} == {media_type}


@pytest.mark.parametrize("version", ["0.33.0", "0.3.64"])
async def test_a_node_that_sends_its_results_is_no_preview(rig: Rig, version: str) -> None:
    """What SaveImageWebsocket sends is made, not shown; nothing is in the history of it."""
    await replay(rig, version, "save_image_websocket")
    assert [m.media_type for m in rig.heard.of(Made)] == ["image/png"]
    assert rig.heard.of(Shown) == []


async def test_what_is_saved_wins_over_what_is_previewed(rig: Rig) -> None:
    """Of a batch of three and three temporary pictures the three are told, in their order."""
    await replay(rig, "0.33.0", "batch_and_preview_image_outputs")
    keys = [f.key for f in rig.heard.of(Found)]
    assert keys == ["9/0/steps_00084_.png", "9/1/steps_00085_.png", "9/2/steps_00086_.png"]
    assert "filename=steps_00084_.png&subfolder=lab&type=output" in rig.heard.of(Found)[0].url


async def test_what_was_finished_before_a_failure_is_kept(rig: Rig) -> None:
    """The picture that was saved before another branch failed is told before the failure."""
    await replay(rig, "0.33.0", "execution_error_keeps_earlier_outputs")
    assert [f.key for f in rig.heard.of(Found)] == ["30/0/early43_00001_.png"]


async def test_words_of_a_node_are_its_message(rig: Rig) -> None:
    """What a node says about itself stands beside its name."""
    await replay(rig, "0.33.0", "progress_text_frame")
    assert "LabText: hello é from node" in [m.message for m in rig.heard.of(Moved)]


async def test_a_run_out_of_the_cache_has_its_files(rig: Rig) -> None:
    """A prompt that ran entirely from a cache is done, with the files of its history."""
    await replay(rig, "0.3.64", "cached_rerun")
    assert len(rig.heard.of(Found)) == 1
