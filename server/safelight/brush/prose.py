"""A short text from prompt and seed, streamed in small pieces.

The embedded demonstration writer: a grammar over `phrases.py` that takes up the
prompt's own words, and says at its end what it is. It reads the same composition
as the painter, so picture and text of one prompt agree. Pure: the same spec gives
the same pieces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import msgspec
import numpy as np

from . import phrases
from .composition import Composition, compose
from .lexicon import COLOURS, PROPS, SCENES, Table, split, stems
from .noise import stream
from .spec import MAX_SEED, BadSpec

MAX_WORDS = 200
MOST_TAKEN_UP = 7
"""How many words of the prompt get a sentence."""

_ASKING = frozenset(
    "write tell describe explain compose say story poem haiku text about something short long"
    " little sentence sentences paragraph song essay what who why how when where can could you"
    " would i we they he she his her their our us them there here not no yes if then than so"
    " but".split()
)


class WriteSpec(msgspec.Struct, frozen=True, kw_only=True):
    """One text. `max_words` is 1 to 10000 and counts every word, the closing note included."""

    prompt: str
    seed: int
    max_words: int = MAX_WORDS
    negative: str = ""


def write(spec: WriteSpec) -> Iterator[str]:
    """The pieces of the text, one to three words each, spaces and line ends included.

    Raises `BadSpec` before the first piece.
    """
    for name, value, low, high in (
        ("seed", spec.seed, 0, MAX_SEED),
        ("max_words", spec.max_words, 1, 10_000),
    ):
        if not low <= value <= high:
            raise BadSpec(f"{name}: found {value}, expected {low} to {high}")
    return _pieces(text(spec), stream(spec.seed, spec.prompt, "pieces"))


def text(spec: WriteSpec) -> str:
    """The whole text at once."""
    picture = compose(spec.prompt, spec.seed, spec.negative)
    rng = stream(spec.seed, spec.prompt, "prose")
    opening, closing = _opening(spec, picture, rng), _one(phrases.CLOSINGS, rng)
    middle = _middle(taken_up(spec.prompt, spec.negative), rng)
    place = [_one(phrases.PLACES[picture.scene], rng)]
    if picture.scene not in ("space", "abstract"):
        place.append(phrases.AIR[picture.weather])
    return _fitted([[opening, *place], middle, [closing], [phrases.NOTE]], spec.max_words)


def taken_up(prompt: str, negative: str = "") -> list[str]:
    """The prompt's words that get a sentence, in their order, each once."""
    unwanted = set(split(negative))
    words = (w for w in split(prompt) if w not in _ASKING and w not in unwanted and len(w) > 2)
    return list(dict.fromkeys(words))[:MOST_TAKEN_UP]


def _one(choices: tuple[str, ...], rng: np.random.Generator) -> str:
    return choices[int(rng.integers(len(choices)))]


def _opening(spec: WriteSpec, picture: Composition, rng: np.random.Generator) -> str:
    asked = " ".join(spec.prompt.split())
    if not asked:
        return _one(phrases.EMPTY, rng)
    if len(asked) > 90:
        asked = asked[:90].rsplit(" ", 1)[0].rstrip(".,;:") + "\u2026"
    sentence = _one(phrases.OPENINGS[picture.hour], rng)
    quoted = f"\u201c{asked.strip(chr(34)).rstrip('.')}\u201d"
    return sentence.replace("{p}", quoted)


def _middle(words: list[str], rng: np.random.Generator) -> list[str]:
    """A sentence for every word, no template twice."""
    stocks = {
        kind: [str(line) for line in rng.permutation(lines)]
        for kind, lines in (
            ("thing", phrases.THINGS),
            ("colour", phrases.COLOURS),
            ("word", phrases.WORDS),
        )
    }
    sentences = []
    for word in words:
        stock = stocks[_kind(word)] or stocks["word"] or stocks["thing"]
        sentences.append(stock.pop().replace("{n}", word).replace("{w}", word))
    return [sentence[:1].upper() + sentence[1:] for sentence in sentences]


def _kind(word: str) -> str:
    if word in COLOURS:
        return "colour"
    return "thing" if _known(word, PROPS) or _known(word, _PLACES) else "word"


def _known(word: str, table: Table) -> bool:
    return any(form in table for form in stems(word)) and word not in _NO_THINGS


_PLACES = {word: hits for word, hits in SCENES.items() if hits[0] not in ("abstract",)}
_NO_THINGS = frozenset(
    "medieval rural urban marine human pirate viking sailing cosmic interstellar tropical dutch"
    " italian venice tuscany scotland egypt sahara himalaya everest fuji tokyo york manhattan"
    " paris prague london kyoto japan japanese saturn jupiter mars cyberpunk walk astronomy".split()
)


def _fitted(paragraphs: list[list[str]], most: int) -> str:
    """As many whole sentences as fit; the note keeps its place unless there is hardly any."""
    *body, note = paragraphs
    tail = len(note[0].split())
    left = most - tail if most >= 2 * tail else most
    kept: list[str] = []
    for paragraph in body:
        fitting = []
        for sentence in paragraph:
            if len(sentence.split()) <= left:
                fitting.append(sentence)
                left -= len(sentence.split())
        if fitting:
            kept.append(" ".join(fitting))
    if not kept:
        kept = [" ".join(body[0][0].split()[: max(1, left)]).rstrip(",;:.") + "\u2026"]
    if most >= 2 * tail:
        kept.append(note[0])
    return "\n\n".join(kept)


def _pieces(whole: str, rng: np.random.Generator) -> Iterator[str]:
    words = re.findall(r"\S+\s*", whole)
    at = 0
    while at < len(words):
        count = int(rng.integers(1, 4))
        yield "".join(words[at : at + count])
        at += count
