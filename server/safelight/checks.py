"""What providers say of a request before it becomes a task, and of what their models take.

Asks only those that can be asked (`Checking`), for a bounded while; what they keep from
one time to the next is their own business. Decides nothing: a refusal is raised, and
admission knows what becomes of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import anyio

from safelight_protocol.codes import Refused

from .providers.base import Checking, Provider, Wanted
from .registry import Registry
from .stray import spared


class Checks:
    """Asks a provider for `seconds` at most."""

    def __init__(self, providers: Mapping[str, Provider], seconds: float) -> None:
        self._asked = {name: one for name, one in providers.items() if isinstance(one, Checking)}
        self._seconds = seconds

    def __contains__(self, provider: object) -> bool:
        return provider in self._asked

    async def check(self, provider: str, wanted: Wanted) -> None:
        """Hold a request against what the provider knows of its model. Raises Refused:
        `invalid`, or `provider_unreachable` if it could not be asked in time."""
        try:
            with anyio.fail_after(self._seconds):
                await spared(self._asked[provider].check(wanted))
        except TimeoutError:
            raise _silent(provider, self._seconds) from None

    async def document(self, registry: Registry, name: str) -> dict[str, Any]:
        """What a model takes as `params`, as JSON Schema: the provider's own word on it where
        it has one and can be asked now, else what the registry knows. Raises Refused
        `not_found`."""
        known = registry.schema(name)
        provider, model = registry.runs_at(name)
        asked = self._asked.get(provider)
        if asked is None:
            return known
        try:
            with anyio.fail_after(self._seconds):
                told = await spared(asked.schema(model))
        except (TimeoutError, Refused):
            return known
        return known if told is None else _joined(known, told)


def _joined(known: dict[str, Any], told: dict[str, Any]) -> dict[str, Any]:
    """The provider's word, with the defaults and demands that are the registry's own."""
    own: dict[str, dict[str, Any]] = known["properties"]
    properties: dict[str, dict[str, Any]] = {}
    for place, (name, one) in enumerate(told["properties"].items()):
        mine = own.get(name, {})
        default = {"default": mine["default"]} if "default" in mine else {}
        properties[name] = mine | one | default | {"x-order": place}
    required = {*told["required"], *known["required"]}
    return known | {
        "properties": properties,
        "required": [name for name in properties if name in required],
        "additionalProperties": told["additionalProperties"],
    }


def _silent(provider: str, seconds: float) -> Refused:
    message = f"{provider} did not answer within {seconds:g} s; nothing was accepted."
    return Refused("provider_unreachable", message)
