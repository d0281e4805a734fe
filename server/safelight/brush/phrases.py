"""The sentences of the demonstration writer, as data.

`{n}` stands for a thing, `{w}` for any word, `{p}` for the prompt itself. All are
in the past tense and take singular and plural alike, since the writer cannot tell.
The rules that choose among them are in `prose.py`.
"""

from __future__ import annotations

OPENINGS = {
    "dawn": (
        "It began a little before the light did, with {p}.",
        "At the hour when kettles wake up, somebody asked for {p}.",
    ),
    "day": (
        "It was broad day, and the request was plain: {p}.",
        "At noon, when shadows are at their most modest, a note came in: {p}.",
    ),
    "golden": (
        "The afternoon had turned to honey by the time {p} was asked for.",
        "Late in the day, with the sun leaning in at the door, came the words {p}.",
    ),
    "sunset": (
        "The sun was already halfway out of the room when somebody said {p}.",
        "It was that red quarter of an hour in which everything looks meant, and the wish was {p}.",
    ),
    "dusk": (
        "The lamps were not lit yet, but one could hear them thinking of it; on the table lay {p}.",
        "Between the last swallow and the first star, a slip of paper arrived: {p}.",
    ),
    "night": (
        "At night the tray is the only bright thing in the house, and tonight it held {p}.",
        "It was late, the good kind of late, and the wish was {p}.",
    ),
}

PLACES = {
    "mountains": (
        "Behind it the mountains lay folded like letters nobody had answered.",
        "The peaks kept their distance, as they do with strangers, and shone a little.",
    ),
    "hills": (
        "The hills went away in rows, each one paler and better mannered than the last.",
        "A few pines stood about on the slopes as if waiting to be introduced.",
    ),
    "forest": (
        "Between the trunks the light came down in planks.",
        "The wood had the hush of a library in which every book is green.",
    ),
    "sea": (
        "The sea went on with its long sentence and did not look for the full stop.",
        "Out on the water the waves were practising the same line again and again.",
    ),
    "lake": (
        "The lake had copied everything out once more, upside down, and made hardly a mistake.",
        "The water lay so still that the far shore came twice.",
    ),
    "desert": (
        "The dunes had all night to decide on a shape and had decided on patience.",
        "There was sand as far as one could think, and then some more.",
    ),
    "city": (
        "The windows went on one by one, like people remembering something.",
        "The towers stood shoulder to shoulder and pretended not to read each other's mail.",
    ),
    "town": (
        "The roofs leaned together like old friends over one story.",
        "Smoke rose from a few chimneys, in no hurry to be a cloud.",
    ),
    "space": (
        "A planet turned over in its sleep, and the stars made room.",
        "There was a great deal of nothing about, very well lit.",
    ),
    "meadow": (
        "The meadow had been told to keep it simple and had brought every flower it knew.",
        "The grass leaned one way, then the other, as if following a good argument.",
    ),
    "abstract": (
        "There was no place to speak of, only shapes that lay on each other like sheets of paper.",
        "One colour gave way to the next without a word, as colours do when they trust each other.",
    ),
}

AIR = {
    "rain": "Rain came down in fine threads and sewed the evening to the ground.",
    "storm": "Somewhere a storm cleared its throat and was taken at its word.",
    "snow": "Snow fell with the care of someone putting things back in their places.",
    "mist": "A mist had been laid over it, thin as tissue round a present.",
    "aurora": "Overhead a green curtain moved, although every window was shut.",
    "cloudy": "Clouds went by in good order, each with its own errand.",
    "clear": "The air was clear enough to hear a long way in.",
}

THINGS = (
    "The {n} came up first out of the dark, slowly, the way things do in a tray of developer.",
    "Nobody had told the {n} to hurry, and so nobody did.",
    "I kept the {n} near the middle, where the light is kindest.",
    "What I know of the {n} would fit on a postcard, but it would be a good postcard.",
    "For a while nothing moved but the {n}, and that only if one looked away.",
    "Without the {n} it would have been a view; with the {n} it was a story.",
    "There was something about the {n} that made the rest stand up straight.",
)

WORDS = (
    "You wrote \u201c{w}\u201d, and I let it set the temperature of the room.",
    "I turned \u201c{w}\u201d over twice and decided that it was a kind of light.",
    "\u201c{w}\u201d went into the corners, where one finds it last.",
    "I held \u201c{w}\u201d up to the lamp, and it was still legible from behind.",
    "As for \u201c{w}\u201d, I put it into the air between the things.",
    "Somebody had underlined \u201c{w}\u201d, so I left some room around it.",
)

COLOURS = (
    "There had to be {w} in it, and there was: the sort of {w} that stays when the lamp is off.",
    "The {w} took its time, then took the whole wall.",
    "A little {w} had got on everything, as it will.",
)

CLOSINGS = (
    "When the red lamp went out, this was what stayed on the paper.",
    "Then the fixer did its quiet work, and it was allowed to be true.",
    "I hung it up to dry and for once did not look at the clock.",
    "The paper curled a little at the edges, which is how it says that it is finished.",
    "That is all; but hold it up to the window once before you go.",
)

EMPTY = (
    "Somebody asked for nothing in particular, which is the hardest thing to refuse.",
    "The note was blank, so I read it twice.",
)

NOTE = (
    "(Written by Safelight's embedded demonstration writer:"
    " a small grammar and your words, no language model.)"
)
