"""The tables [providers.<name>], and what a provider must say for itself."""

from __future__ import annotations

from typing import get_args

from safelight_protocol.fields import one_of

from .fields import ProviderSettings, ProviderType, Settings
from .named import Named
from .words import SettingsError

PROVIDERS = Named("providers", ProviderSettings, "replicate")

TYPES: tuple[str, ...] = get_args(ProviderType)

EMBEDDED = ("local", "scripted", "comfyui")
"""Names that are taken: what is not configured by a table of this kind."""

KEYLESS = frozenset({"openai"})
"""Types that may do without a key: many servers speak them, some of them your own."""


def type_of(name: str, settings: ProviderSettings) -> str:
    """What is spoken at a provider."""
    return settings.type or name


def check_providers(settings: Settings) -> None:
    """Each has a type, no name that is taken, and a key where its type needs one. Raises
    SettingsError."""
    PROVIDERS.check_spellings(settings.providers)
    for name, one in settings.providers.items():
        if name in EMBEDDED:
            raise SettingsError(
                f"providers.{name}: found a name that is taken, expected another one"
            )
        if type_of(name, one) not in TYPES:
            raise SettingsError(
                f"{PROVIDERS.spelt(name, 'type')}: found nothing beside a name that is no type,"
                f" expected {one_of(name, TYPES)}"
            )
        if one.key is None and (one.url is None or type_of(name, one) not in KEYLESS):
            raise SettingsError(
                f"{PROVIDERS.spelt(name, 'key')}: found nothing, expected the key of {name}"
            )
