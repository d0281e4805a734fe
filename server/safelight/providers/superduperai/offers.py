"""What there is to choose from: generation configs and styles, asked for once in a while.

A model of ours is theirs by its name, with or without our prefix, or by its label, written
as it is or as a name (`google-veo2-image-to-video`). What they say of it is held against a
request before anything is sent.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import anyio

from safelight_protocol.fields import invalid, one_of
from safelight_protocol.identity import shown

from ..base import Wanted
from ..denials import unable
from ..greeting import Heard, unheard
from ..http import Trouble
from .client import Client
from .pace import Timings
from .shapes import Offer, Style, as_number

PREFIX = "superduperai/"
MOST_SEED = 2**63 - 1
MOST_FILES = 3
"""Files of one create."""

Problem = dict[str, object]


class Offers:
    """Their offers and styles, not much older than `fresh`."""

    def __init__(
        self,
        name: str,
        client: Client,
        timings: Timings,
        monotonic: Callable[[], float],
        heard: Heard = unheard,
    ) -> None:
        self._name = name
        self._client = client
        self._fresh = timings.fresh
        self._monotonic = monotonic
        self._heard = heard
        self._asking = anyio.Lock()
        self._offers: list[Offer] = []
        self._styles: list[Style] = []
        self._read_at: float | None = None

    async def find(self, model: str) -> Offer | None:
        """The offer that a model of ours means; a younger list is asked for before there is
        said to be none. Raises Trouble."""
        await self._read(self._fresh)
        found = _named(self._offers, model)
        if found is None:
            await self._read(min(self._fresh, 5.0))
            found = _named(self._offers, model)
        return found

    async def check(self, wanted: Wanted) -> None:
        """Raises Refused: `invalid`; if nothing could be read `provider_unreachable`, or
        `provider_refused` where our key is not taken."""
        offer = await self._told(wanted.model)
        if offer is None:
            names = [offer.name for offer in self._offers if offer.makes == wanted.kind]
            raise invalid(
                [_problem("model", wanted.model, f"one that it has: {one_of('', names)}")]
            )
        problems = problems_of(offer, wanted)
        style = wanted.params.get("style_name")
        if style is not None and style not in (names := [style.name for style in self._styles]):
            problems.append(_problem("params.style_name", style, one_of(style, names)))
        if problems:
            raise invalid(problems)

    async def schema(self, model: str) -> dict[str, Any] | None:
        """What a model takes, as far as it is said. Raises Refused."""
        offer = await self._told(model)
        if offer is None:
            return None
        return schema_of(offer, [style.name for style in self._styles])

    async def _told(self, model: str) -> Offer | None:
        try:
            return await self.find(model)
        except Trouble as trouble:
            raise unable(trouble.fault, self._name, self._heard) from None

    async def _read(self, fresh: float) -> None:
        """Once for all who wait. An old list is better than none."""
        async with self._asking:
            age = None if self._read_at is None else self._monotonic() - self._read_at
            if age is not None and age <= fresh:
                return
            try:
                self._offers = await self._client.rows("/generation-config", Offer)
                self._styles = await self._client.rows("/style", Style)
            except Trouble:
                if self._read_at is None:
                    raise
                return
            self._read_at = self._monotonic()


def problems_of(offer: Offer, wanted: Wanted) -> list[Problem]:
    """What an offer does not take of a request."""
    problems = []
    if offer.makes != wanted.kind:
        problems.append(_problem("kind", wanted.kind, f"{offer.makes}, which is what it makes"))
    if wanted.n > MOST_FILES:
        problems.append(_problem("n", wanted.n, f"at most {MOST_FILES}"))
    if wanted.seed > MOST_SEED:
        problems.append(_problem("seed", wanted.seed, f"at most {MOST_SEED}"))
    for side, most in _resolution(offer).items():
        asked = as_number(wanted.params.get(side))
        if asked is not None and asked > most:
            problems.append(_problem(f"params.{side}", asked, f"at most {most:g}"))
    return [*problems, *_of_duration(offer, wanted), *_of_inputs(offer, wanted)]


def _of_duration(offer: Offer, wanted: Wanted) -> list[Problem]:
    asked = as_number(wanted.params.get("duration"))
    if offer.makes != "video" or asked is None:
        return []
    allowed, most = durations(offer), offer.number("max_duration")
    if allowed and asked not in allowed:
        expected = f"one of {', '.join(f'{one:g}' for one in allowed)} (seconds)"
    elif most is not None and asked > most:
        expected = f"at most {most:g} seconds"
    else:
        return []
    return [_problem("params.duration", asked, expected)]


def _of_inputs(offer: Offer, wanted: Wanted) -> list[Problem]:
    """What something starts from must be there, and be of its kind."""
    start = offer.starts_from
    kinds = [one.media_type.partition("/")[0] for one in wanted.inputs]
    if start == "text" or start in kinds:
        return []
    found = ", ".join(kinds) or "nothing"
    return [
        {"field": "inputs", "found": found, "expected": f"a file of kind {start} to start from"}
    ]


def durations(offer: Offer) -> list[float]:
    """The seconds that a video may have, where only some are taken."""
    listed = offer.params.get("available_durations")
    given = listed if isinstance(listed, list) else []
    return [one for one in given if as_number(one) is not None]


def schema_of(offer: Offer, styles: list[str]) -> dict[str, Any]:
    """A JSON Schema (2020-12): what is taken, with the bounds that the offer itself has."""
    text, number = {"type": "string"}, {"type": "integer"}
    known: dict[str, Any] = {"aspect_ratio": text, "width": number, "height": number}
    for side, most in _resolution(offer).items():
        known[side] = number | {"maximum": int(most)}
    known["negative_prompt"] = text
    if offer.makes == "image":
        known |= {"steps": number, "shot_size": text}
        known["style_name"] = text | ({"enum": styles} if styles else {})
    else:
        known["duration"] = {"type": "number"} | _seconds(offer)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "properties": known,
        "required": [],
        "additionalProperties": False,
    }


def _seconds(offer: Offer) -> dict[str, Any]:
    allowed, most = durations(offer), offer.number("max_duration")
    if allowed:
        return {"enum": allowed}
    return {} if most is None else {"maximum": most}


def _resolution(offer: Offer) -> dict[str, float]:
    most = offer.params.get("max_resolution")
    sides = most if isinstance(most, dict) else {}
    return {
        name: sides[name]
        for name in ("width", "height")
        if isinstance(sides.get(name), int | float)
    }


def _named(offers: list[Offer], model: str) -> Offer | None:
    names = {model, model.removeprefix(PREFIX)}
    for offer in offers:
        if offer.name in names:
            return offer
    slugs = {_slug(name) for name in names}
    for offer in offers:
        if offer.label is not None and _slug(offer.label) in slugs:
            return offer
    return None


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", text.casefold()).strip("-")


def _problem(field: str, found: object, expected: str) -> Problem:
    return {"field": field, "found": shown(found), "expected": expected}
