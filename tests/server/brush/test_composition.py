"""compose: what the words of a prompt decide, and what is left to the seed."""

from __future__ import annotations

import pytest

from safelight.brush.composition import compose
from safelight.brush.lexicon import read


@pytest.mark.parametrize(
    ("prompt", "scene"),
    [
        ("two boats on the ocean", "sea"),
        ("the Alps, early morning", "mountains"),
        ("mountains by the sea", "lake"),
        ("an astronaut", "space"),
        ("lighthouse", "sea"),
        ("CYBERPUNK alley", "city"),
        ("wild flowers", "meadow"),
    ],
)
def test_subjects_choose_the_scene(prompt: str, scene: str) -> None:
    """Named places win, then what the things imply; plurals and case do not matter."""
    assert compose(prompt, 1).scene == scene


@pytest.mark.parametrize(
    ("prompt", "hour"),
    [("hills at night", "night"), ("hills at dawn", "dawn"), ("hills in the evening", "sunset")],
)
def test_words_set_the_hour(prompt: str, hour: str) -> None:
    """A named hour is kept."""
    assert compose(prompt, 1).hour == hour


def test_weather_hides_the_light() -> None:
    """In rain there is neither sun nor moon; in snow the ground is white."""
    assert compose("hills in the rain", 1).light is None
    assert compose("snowy hills", 1).snowy


def test_the_seed_leaves_subject_and_palette_alone() -> None:
    """Scene, hour, weather, props and palette are the prompt's; places are the seed's."""
    one, other = compose("a cat", 1), compose("a cat", 2)
    for field in ("scene", "hour", "weather", "props", "bloom"):
        assert getattr(one, field) == getattr(other, field)
    assert one.palette.name == other.palette.name
    assert one.light != other.light


def test_unknown_words_decide_too() -> None:
    """Prompts without one known word still differ from each other."""
    words = ("teapot", "justice", "zebra", "sandwich", "violin", "bicycle", "algebra", "thursday")
    assert len({(c.scene, c.hour, c.palette.name) for c in (compose(w, 1) for w in words)}) > 4


def test_colours_tint_the_palette() -> None:
    """A named colour draws the whole palette towards it."""

    def redness(prompt: str) -> float:
        red, green, blue = compose(prompt, 1).palette.sky[1]
        return red - (green + blue) / 2

    assert redness("red hills at noon") > redness("blue hills at noon") + 0.1


def test_unwanted_words_count_as_not_there() -> None:
    """What the negative prompt names is left out, in singular and plural."""
    assert compose("a cat and birds on a hill", 1).props == ("cat", "flock")
    assert compose("a cat and birds on a hill", 1, negative="cats, bird").props == ()


def test_a_word_may_mean_several_things() -> None:
    """Every meaning of a word is found, once, in the order of the words."""
    assert read("a medieval monk").props == ("castle", "monk", "path")
    assert read("monk, monks and a monk").props == ("monk", "path")
