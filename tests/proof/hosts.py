"""How each paid provider is asked in a proof: its models and prices, and the requests.

Every request has its number in its prompt, so that a run at the emulator tells which task
it was for whatever else the provider is told; which attempt it was is read from what the
adapter marks its requests with, where it can mark them.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qs, urlsplit

import msgspec

from tests.doubles import openai_rig, replicate_rig, streaming_house, superduper_rig

NUMBER = re.compile(r"#(\d{6})")
LENGTH = "in 24 words"
SMALL = {"width": 256, "height": 256}


class Ask(msgspec.Struct, frozen=True):
    """One kind of request: its model, what it makes, and its parameters."""

    model: str
    kind: str
    params: Mapping[str, Any] = {}


class Host(msgspec.Struct, frozen=True):
    """One provider. `models` is a file of rows, empty where those are used that are shipped;
    `base` stands behind the emulator's address; `entries` are its tables in the settings."""

    models: str
    asks: Sequence[Ask]
    base: str = ""
    entries: Mapping[str, Mapping[str, Any]] = {}

    def settings(self, name: str, url: str, key: str) -> dict[str, Any]:
        """The providers of a server, with patience for a bad day only."""
        quick = {"request_seconds": 2.0, "silence_seconds": 2.0, "concurrency": 12}
        entries = self.entries or {name: {}}
        common = {"url": url + self.base, "key": key} | quick
        return {entry: common | dict(more) for entry, more in entries.items()}

    def body(self, number: int, die: random.Random) -> dict[str, Any]:
        """The request of that number."""
        ask = self.asks[die.randrange(len(self.asks))]
        return {
            "kind": ask.kind,
            "model": ask.model,
            "prompt": f"A lamp #{number:06d} {LENGTH}",
            "params": dict(ask.params),
            "max_cost": 50,
        }


HOSTS: Mapping[str, Host] = {
    "openai": Host(
        openai_rig.MODELS,
        (
            Ask(openai_rig.TEXT, "text"),
            Ask(openai_rig.CHAT, "text"),
            Ask(openai_rig.IMAGE, "image", SMALL),
        ),
        "/v1",
        {"openai": {"api": "responses"}, "chat": {"type": "openai", "api": "chat"}},
    ),
    "anthropic": Host(streaming_house.CLAUDE, (Ask("claude-haiku-5-5", "text"),)),
    "gemini": Host(
        streaming_house.GEMINI,
        (Ask("gemini-3.8-flash", "text"), Ask("gemini-3.1-flash-image", "image")),
    ),
    "replicate": Host(
        replicate_rig.MODELS,
        (
            Ask(replicate_rig.FLUX, "image"),
            Ask(replicate_rig.LANTERN, "image"),
            Ask(replicate_rig.LLAMA, "text"),
        ),
        "/v1",
    ),
    "superduperai": Host(
        "",
        (
            Ask(superduper_rig.PAID, "image", {"width": 64, "height": 64}),
            Ask(superduper_rig.FREE, "image", {"width": 64, "height": 64}),
        ),
    ),
}


def number_of(run: Mapping[str, Any]) -> int:
    """Which request a run of an emulator was for. Raises AssertionError for nobody's."""
    marks = run["marks"]
    given = marks.get("input")
    prompt = given.get("prompt") if isinstance(given, dict) else marks.get("prompt")
    found = NUMBER.search(str(prompt))
    assert found is not None, f"a run that nobody asked for: {run}"
    return int(found[1])


def attempt_of(run: Mapping[str, Any]) -> str | None:
    """Which attempt a run was for, as the request said; None where it could not."""
    marks = run["marks"]
    metadata = marks.get("metadata")
    if isinstance(metadata, dict) and "safelight_attempt" in metadata:
        return str(metadata["safelight_attempt"])
    mark = (marks.get("headers") or {}).get("x-client-request-id")
    if mark:
        return str(mark).rpartition("-")[2]
    query = parse_qs(urlsplit(str(marks.get("webhook") or "")).query)
    return query["attempt"][0] if "attempt" in query else None
