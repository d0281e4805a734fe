"""What words mean to the painter: subjects, hours, weather, colours, moods.

`read` turns a prompt into a `Reading`; nothing here knows how to paint. Words that
are not listed are kept as `others`: they still decide, by their hash, what was
left open (see `composition.py`).
"""

from __future__ import annotations

import re

import msgspec

from .palette import Rgb, rgb

Table = dict[str, tuple[str, ...]]


def _table(lines: str) -> Table:
    """`meaning: word word` a line, turned round to word -> meanings."""
    table: Table = {}
    for line in lines.strip().splitlines():
        meaning, words = line.split(":")
        for word in words.split():
            table[word] = (*table.get(word, ()), meaning.strip())
    return table


SCENES = _table("""
    mountains: mountain peak summit alp alps himalaya cliff volcano glacier everest highland fuji
    hills: hill valley countryside village farm path road rural pasture monastery abbey tuscany
    forest: forest wood woods woodland jungle grove pine taiga rainforest fairy elf mushroom
    sea: sea ocean coast beach shore wave island harbour harbor pier seaside bay marine sail coral
    lake: lake river pond fjord reflection swan waterfall stream venice
    desert: desert dune sahara sand canyon oasis camel egypt pyramid wasteland mars
    city: city skyline skyscraper downtown metropolis street cyberpunk tokyo urban manhattan neon
    town: town rooftop paris prague alley market cathedral london italian
    space: space galaxy planet nebula cosmos cosmic universe saturn jupiter orbit alien interstellar
    meadow: meadow flower field garden prairie poppy daisy tulip lavender sunflower spring rose
    abstract: abstract pattern geometric texture music jazz emotion dream idea shape fractal thought
""")

HOURS = _table("""
    dawn: dawn sunrise morning daybreak awakening early
    day: day noon midday sunny bright daylight summer cheerful
    golden: golden afternoon warm harvest honey autumn
    sunset: sunset sundown evening
    dusk: dusk twilight gloaming nightfall lantern
    night: night midnight moon moonlight moonlit star starry stars dark nocturne aurora neon sleep
""")

WEATHER = _table("""
    rain: rain rainy drizzle shower umbrella wet
    storm: storm thunder lightning tempest thunderstorm stormy hurricane
    snow: snow snowy winter blizzard frost frozen ice icy christmas arctic snowfall
    mist: mist misty fog foggy haze hazy mysterious smoke ghost quiet
    aurora: aurora borealis northern
    clear: clear cloudless
    cloudy: cloud cloudy clouds overcast dramatic
""")

PROPS = _table("""
    monk: monk priest wizard nun hermit witch mage pilgrim sorcerer druid friar prophet knight
    person: person man woman girl boy child traveler traveller samurai soldier wanderer king queen \
        poet dancer human portrait hero lady detective painter musician lover people couple explorer
    astronaut: astronaut cosmonaut spaceman
    cat: cat kitten kitty tomcat
    dog: dog puppy fox wolf husky coyote corgi hound
    deer: deer stag elk reindeer moose doe antelope horse unicorn
    boat: boat sailboat yacht sail sailing kayak canoe fisherman regatta
    ship: ship galleon pirate vessel frigate viking
    lighthouse: lighthouse beacon
    cottage: cottage house cabin hut home barn lodge farm village
    castle: castle fortress palace citadel kingdom dragon medieval
    church: church monastery abbey chapel cathedral temple village
    windmill: windmill mill holland dutch
    balloon: balloon airship zeppelin
    whale: whale dolphin
    rocket: rocket spaceship spacecraft starship shuttle
    robot: robot android mech machine cyborg
    flock: bird birds crow raven swallow seagull gull eagle goose geese swan owl flock dove
    oak: tree oak willow apple olive linden bonsai
    blossom: blossom cherry sakura kyoto japan japanese
    path: path road way journey trail monk pilgrim walk
    beach: beach shore coast seaside bay island tropical
""")

COLOURS = {
    word: rgb(code)
    for word, code in (
        line.split("=")
        for line in (
            "red=d1342f crimson=b01c35 scarlet=d8301f orange=ef7d26 amber=f0a030 yellow=f0c93a"
            " gold=dca63c green=3c9a56 emerald=1f9a6b olive=7f8a3a teal=1f9a9a turquoise=36b8b0"
            " cyan=35b6d6 blue=2f6fd0 azure=3a8fe0 navy=1f3a80 indigo=4438a0 purple=8a3fb0"
            " violet=8f5ad0 lilac=b48fd8 magenta=cf3fa8 pink=ee7fae rose=e0708f brown=8a5a34"
            " coral=f2765f peach=f5b08a"
        ).split()
    )
}

MOODS = _table("""
    sepia: vintage old ancient antique historical retro
    neon: neon cyberpunk synthwave vaporwave futuristic tokyo
    tropic: tropical hawaii caribbean lagoon palm paradise coral
    autumn: autumn fall october leaves maple november
    winter: winter snow snowy christmas frost arctic
    spring: spring april may fresh easter
    sage: calm peaceful serene gentle zen quiet misty mist fog tranquil minimal
    slate: storm stormy sad lonely gloomy grey gray melancholy rain rainy noir
    ember: fire flame hot lava passion burning volcano mars
    riso: pop fun playful happy children cute cartoon
    plum: romantic love wine velvet jazz
    aurora: aurora borealis northern
    desert: desert sahara canyon egypt dune
""")

BLOOMS = _table("""
    poppy: poppy poppies red
    daisy: daisy daisies chamomile white
    tulip: tulip dutch holland rose
    lavender: lavender provence purple violet
    sunflower: sunflower gogh yellow
""")

_WORD = re.compile(r"[^\W_]+")
STOP = frozenset(
    "a an the of in on at to and or with without by for from into over under near is are be it its"
    " this that as very some two three one style picture image photo painting art please make draw"
    " paint create generate show me my your".split()
)


class Reading(msgspec.Struct, frozen=True):
    """What was found in a prompt, in the order of its words."""

    words: tuple[str, ...]
    scenes: tuple[str, ...]
    hours: tuple[str, ...]
    weather: tuple[str, ...]
    props: tuple[str, ...]
    moods: tuple[str, ...]
    colours: tuple[Rgb, ...]
    blooms: tuple[str, ...]


def split(text: str) -> list[str]:
    """The words of a text, folded to lower case, without the ones that carry no picture."""
    return [word for word in _WORD.findall(text.casefold()) if word not in STOP]


def stems(word: str) -> list[str]:
    """The word and what it may be a plural of."""
    forms = [word]
    if word.endswith("ies") and len(word) > 4:
        forms.append(word[:-3] + "y")
    if word.endswith("es") and len(word) > 4:
        forms.append(word[:-2])
    if word.endswith("s") and len(word) > 3:
        forms.append(word[:-1])
    return forms


def _found(words: list[str], table: Table) -> tuple[str, ...]:
    hits = (hit for word in words for form in stems(word) for hit in table.get(form, ()))
    return tuple(dict.fromkeys(hits))


def read(prompt: str, negative: str = "") -> Reading:
    """What the painter understands of a prompt; words of `negative` are as if not there."""
    unwanted = {form for word in split(negative) for form in stems(word)}
    words = [word for word in split(prompt) if not unwanted & set(stems(word))]
    colours = (COLOURS[form] for word in words for form in stems(word) if form in COLOURS)
    refused = {hit for word in unwanted for hit in PROPS.get(word, ())}
    return Reading(
        words=tuple(words),
        scenes=_found(words, SCENES),
        hours=_found(words, HOURS),
        weather=_found(words, WEATHER),
        props=tuple(name for name in _found(words, PROPS) if name not in refused),
        moods=_found(words, MOODS),
        colours=tuple(dict.fromkeys(colours)),
        blooms=_found(words, BLOOMS),
    )
