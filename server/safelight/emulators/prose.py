"""Text that an emulator answers with, in pieces, and the count of pieces as its tokens.

One rule for all: what goes in is counted as what comes out is, piece by piece, so that a
bill can be checked by whoever reads the text. The same request gives the same text. A
prompt may ask for a length ("in 300 words") or for its own words ("Say exactly: ...").
Knows no provider.
"""

from __future__ import annotations

import random
import re

PIECE = re.compile(r"\s*(?:\w{1,8}|[^\w\s])|\s+")
"""What counts as one token: up to eight letters or digits, or one sign, with the white space
before it."""

WANTED = re.compile(r"\bin (\d{1,5}) words\b", re.IGNORECASE)
EXACT = re.compile(r"\bsay exactly:\s?(.*)", re.IGNORECASE | re.DOTALL)

SUBJECTS = "the lamp|a grey heron|the harbour|an old map|the night train|her letter|the tide"
VERBS = "keeps|remembers|carries|follows|crosses|answers|outlasts|measures"
OBJECTS = "the light|a quiet street|every window|the first snow|two bridges|the long way home"
ENDINGS = "without a sound|before noon|as if nobody looked|for once|in the rain|again and again"

FEWEST, MOST = 5, 11
"""How many sentences there are when nobody says how much is wanted."""


def pieces(text: str) -> list[str]:
    """The text cut into tokens; joined they are the text."""
    return PIECE.findall(text)


def tokens(text: str) -> int:
    """How many tokens a text is."""
    return sum(1 for _ in PIECE.finditer(text))


def answer(prompt: str, seed: int | str = 0) -> str:
    """What a model says to it."""
    if (exact := EXACT.search(prompt)) is not None:
        return exact[1]
    chance = random.Random(f"{seed} {prompt}")
    if (wanted := WANTED.search(prompt)) is None:
        return " ".join(_sentence(chance) for _ in range(chance.randint(FEWEST, MOST)))
    words: list[str] = []
    while len(words) < int(wanted[1]):
        words += _sentence(chance).split()
    return " ".join(words[: int(wanted[1])])


def _sentence(chance: random.Random) -> str:
    parts = [chance.choice(each.split("|")) for each in (SUBJECTS, VERBS, OBJECTS, ENDINGS)]
    text = " ".join(parts)
    return f"{text[0].upper()}{text[1:]}."
