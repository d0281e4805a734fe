"""write: a short text that takes up the prompt, keeps its bounds and says what it is."""

from __future__ import annotations

import pytest

from safelight.brush import phrases
from safelight.brush.prose import WriteSpec, text, write
from safelight.brush.spec import BadSpec

PROMPTS = (
    "a medieval monk",
    "Write a haiku about the red sea, an old dog and 2 lighthouses",
    "объясни квантовую физику",
    "",
    "“quoted” {n} {w}",
    "space",
    "rainy city at night",
)


def test_the_same_spec_gives_the_same_pieces() -> None:
    """Pieces are the same again, and differ for another seed."""
    spec = WriteSpec(prompt="a cat", seed=3)
    assert list(write(spec)) == list(write(spec))
    assert text(spec) != text(WriteSpec(prompt="a cat", seed=4))


def test_pieces_add_up() -> None:
    """The pieces are short, and together they are the whole text."""
    spec = WriteSpec(prompt="a cat and a lighthouse", seed=3)
    pieces = list(write(spec))
    assert "".join(pieces) == text(spec)
    assert len(pieces) > 10 and all(1 <= len(piece.split()) <= 3 for piece in pieces)


@pytest.mark.parametrize("seed", range(5))
def test_the_words_of_the_prompt_are_taken_up(seed: int) -> None:
    """Every noun gets a sentence of its own, besides the prompt being quoted."""
    written = text(WriteSpec(prompt="a monk, a lighthouse and a teapot", seed=seed))
    for noun in ("monk", "lighthouse", "teapot"):
        assert written.count(noun) >= 2


@pytest.mark.parametrize("prompt", PROMPTS)
@pytest.mark.parametrize("seed", [0, 1, 2**64 - 1])
def test_texts_are_well_formed(prompt: str, seed: int) -> None:
    """Paragraphs begin with a capital or a quotation mark and end with a stop; none is empty."""
    written = text(WriteSpec(prompt=prompt, seed=seed))
    for paragraph in written.split("\n\n"):
        assert paragraph == paragraph.strip() and paragraph[-1] in ".)"
        assert paragraph[0].isupper() or paragraph[0] in "\u201c("
    if "{" not in prompt:
        assert "{" not in written


def test_it_says_what_it_is() -> None:
    """The last paragraph is the note on the demonstration writer."""
    assert text(WriteSpec(prompt="a cat", seed=1)).endswith("\n\n" + phrases.NOTE)


@pytest.mark.parametrize("most", [1, 2, 10, 29, 30, 45, 80, 200, 5000])
@pytest.mark.parametrize("prompt", ["a cat", "word " * 3999 + "end", "x" * 20000])
def test_max_words_is_a_bound(most: int, prompt: str) -> None:
    """No text has more words than asked, and none is empty."""
    assert 1 <= len(text(WriteSpec(prompt=prompt, seed=9, max_words=most)).split()) <= most


def test_long_prompts_are_quoted_in_part() -> None:
    """A prompt of 20000 characters does not fill the text."""
    assert len(text(WriteSpec(prompt="word " * 4000, seed=9))) < 2500


@pytest.mark.parametrize(("field", "value"), [("seed", -1), ("seed", 2**64), ("max_words", 0)])
def test_a_bad_spec_is_refused_before_the_first_piece(field: str, value: int) -> None:
    """A value outside its limits is named, with what was found and expected."""
    with pytest.raises(BadSpec, match=f"{field}: found {value}, expected"):
        write(WriteSpec(**{"prompt": "x", "seed": 1, field: value}))
