"""Examples of the documents, done as they are printed, by real processes."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from tests.doubles.pages import typed

pytestmark = pytest.mark.slow


def test_a_model_of_ones_own_runs_as_it_is_printed(tmp_path: Path) -> None:
    """The three files of docs/models.md start, and make a poster of the size that they say."""
    heading = "A file of your own"
    with typed(tmp_path, "docs/models.md", heading, graph="workflows/poster.json") as page:
        listed, kept = page.outputs
    assert listed.startswith("mine/poster: Poster") and "dpmpp_2m" in listed
    assert kept == "poster.png\n"
    with Image.open(tmp_path / "poster.png") as poster:
        assert poster.size == (832, 1216)


def test_text_without_a_key_runs_as_it_is_printed(tmp_path: Path) -> None:
    """The entries of docs/openai.md, as OpenAI and as a server of one's own, both write, and
    what is billed is in the sums."""
    with typed(tmp_path, "docs/openai.md", "Without a key, and without a model") as page:
        own, hosted, usage = page.outputs
    assert own.strip() and hosted.strip()
    assert "gpt-5.4-mini" in usage and "llama" not in usage
