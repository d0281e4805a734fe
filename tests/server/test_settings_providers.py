"""The tables [providers.<name>]: read, overridden, masked, and what is refused of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from safelight.configured import places_of
from safelight.settings import ProviderSettings, SettingsError, lines, load, type_of

FILE = """
[providers.replicate]
key = "r8_secret"

[providers.my-box]
type = "openai"
url = "http://127.0.0.1:11434/v1/"
concurrency = 2
"""


@pytest.fixture
def path(tmp_path: Path) -> str:
    """A settings file with two providers."""
    file = tmp_path / "safelight.toml"
    file.write_text(FILE)
    return str(file)


def test_two_tables_are_two_providers(path: str) -> None:
    """Each table is a provider, of the type that it says or is named like."""
    providers = load(path, {}, {}).settings.providers
    assert providers == {
        "replicate": ProviderSettings(key="r8_secret"),
        "my-box": ProviderSettings(type="openai", url="http://127.0.0.1:11434/v1", concurrency=2),
    }
    assert [type_of(name, one) for name, one in providers.items()] == ["replicate", "openai"]


def test_a_variable_overrides_one_field_and_is_told(path: str) -> None:
    """A variable changes that field alone, whose line tells what it overrides."""
    loaded = load(path, {"SAFELIGHT_PROVIDERS__MY_BOX__CONCURRENCY": "7"}, {})
    assert loaded.settings.providers["my-box"].concurrency == 7
    told = {line.name: line for line in lines(loaded)}["providers.my-box.concurrency"]
    assert (told.value, told.source, told.overridden) == ("7", "environment", ("file",))


def test_a_provider_of_variables_alone() -> None:
    """No file is needed to have a provider."""
    variables = {"SAFELIGHT_PROVIDERS__GEMINI__KEY": "abc"}
    assert load(None, variables, {}).settings.providers == {"gemini": ProviderSettings(key="abc")}


def test_keys_are_masked(path: str) -> None:
    """No printed line has a key or a secret in it."""
    variables = {"SAFELIGHT_PROVIDERS__REPLICATE__WEBHOOK_SECRET": "whsec_hidden"}
    told = {line.name: line.value for line in lines(load(path, variables, {}))}
    assert told["providers.replicate.key"] == "*****"
    assert told["providers.replicate.webhook_secret"] == "*****"
    assert told["providers.my-box.key"] == "none"


REFUSED = {
    "providers.local.key": ({"local": {"key": "k"}}, "providers.local: found a name that is taken"),
    "no type": ({"ollama": {"key": "k"}}, "providers.ollama.type: found nothing beside a name"),
    "near type": ({"replicat": {"key": "k"}}, "near it: replicate"),
    "no key field": ({"replicate": {"concurrency": 1}}, "providers.replicate.key: found nothing"),
    "openai keyless": ({"openai": {"concurrency": 1}}, "providers.openai.key: found nothing"),
    "two spellings": (
        {
            "my-box": {"type": "openai", "key": "a"},
            "my_box": {"type": "openai", "key": "b"},
        },
        "providers: found my-box and my_box",
    ),
    "field": ({"openai": {"kye": "k"}}, "providers.openai.kye: found an unknown setting"),
    "type": ({"x": {"type": "dalle"}}, "providers.x.type: found"),
    "port": ({"openai": {"key": "k", "url": "http://h:99999"}}, "a port from 0 to 65535"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused(name: str) -> None:
    """A provider that cannot be is refused at start by the name of its field."""
    tables, message = REFUSED[name]
    with pytest.raises(SettingsError) as refused:
        load(None, {}, {"providers": tables})
    assert message in str(refused.value)
    assert "found k" not in str(refused.value)


SECRET = "r8_hidden"

TELLING: dict[str, tuple[str, dict[str, str], str]] = {
    "in the place of a table": (
        f'[providers]\nreplicate = "{SECRET}"',
        {},
        "providers.replicate: found text, expected a table, [providers.replicate]",
    ),
    "in the place of all tables": (f'providers = "{SECRET}"', {}, "providers: found text"),
    "in a list of tables": (
        f'[[providers.replicate]]\nkey = "{SECRET}"',
        {},
        "providers.replicate: found a list",
    ),
    "of another type": (f'[providers.replicate]\nkey = ["{SECRET}"]', {}, "key: found *****"),
    "under a wrong name": (f'[providers.replicate]\napi_key = "{SECRET}"', {}, "api_key: found an"),
    "in the query of an address": (
        f'[providers.replicate]\nkey = "k"\nurl = "https://h/v1?key={SECRET}"',
        {},
        'providers.replicate.url: found "https://h/v1?*****',
    ),
    "as a password": (
        f'[providers.replicate]\nkey = "k"\nurl = "https://u:{SECRET}@h/v1"',
        {},
        'providers.replicate.url: found "https://*****@h/v1',
    ),
    "in a misspelt variable": (
        "",
        {"SAFELIGHT_PROVIDER__REPLICATE__KEY": SECRET},
        "expected SAFELIGHT_PROVIDERS__<NAME>__<FIELD>?",
    ),
    "in a variable with too few parts": (
        "",
        {"SAFELIGHT_PROVIDERS_REPLICATE_KEY": SECRET},
        "expected SAFELIGHT_PROVIDERS__<NAME>__<FIELD>",
    ),
}


@pytest.mark.parametrize("name", TELLING)
def test_a_key_in_the_wrong_place_is_not_repeated(name: str, tmp_path: Path) -> None:
    """The refusal names the setting and what is expected, and never what could be a key."""
    text, variables, message = TELLING[name]
    file = tmp_path / "safelight.toml"
    file.write_text(text)
    with pytest.raises(SettingsError) as refused:
        load(str(file), variables, {})
    assert message in str(refused.value)
    assert SECRET not in str(refused.value)


def test_a_repr_has_no_key(path: str) -> None:
    """Settings may be printed whole, in a traceback say: all secrets are masked in it."""
    variables = {"SAFELIGHT_TOKENS": "ann:hidden-token", "SAFELIGHT_S3_SECRET": "hidden-s3"}
    settings = load(path, variables, {}).settings
    assert "r8_secret" not in repr(settings) and "hidden" not in repr(settings)
    assert "url='http://127.0.0.1:11434/v1'" in repr(settings)


def test_a_provider_has_its_places(path: str) -> None:
    """As many predictions run at a provider as its settings say."""
    assert places_of(load(path, {}, {}).settings) == {"local": 2, "replicate": 4, "my-box": 2}
