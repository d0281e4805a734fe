"""How the provider comes out of the settings."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from safelight.configured import providers_of
from safelight.providers.openai import OpenAI
from safelight.providers.openai.client import Timings, is_own
from safelight.settings import ProviderSettings, Settings

CASES: list[tuple[dict[str, Any], bool]] = [
    ({}, True),
    ({"url": "https://api.openai.com/v1"}, True),
    ({"url": "https://API.openai.com:443/v1"}, True),
    ({"url": "http://127.0.0.1:11434/v1"}, False),
    ({"url": "https://api.openai.com.evil.example/v1"}, False),
    ({"url": "https://gateway.example/v1", "api": "responses"}, True),
]


@pytest.mark.parametrize(("fields", "own"), CASES)
def test_openai_is_known_by_its_address(fields: dict[str, Any], own: bool) -> None:
    """Every other server speaks chat completions, unless the settings say more of it."""
    assert is_own(ProviderSettings(key="k", **fields)) is own


@pytest.mark.parametrize(("silence", "whole"), [(5.0, 300.0), (900.0, 900.0)])
def test_a_picture_may_come_in_one_piece(silence: float, whole: float) -> None:
    """However impatient the settings are of streams, pictures get five minutes at least."""
    timings = Timings.of(ProviderSettings(key="k", silence_seconds=silence, request_seconds=7.0))
    assert (timings.silence, timings.whole, timings.answer) == (silence, whole, 7.0)


def test_there_may_be_several_by_name() -> None:
    """Each bills by whether it has a key."""
    ollama = ProviderSettings(type="openai", url="http://127.0.0.1:11434/v1")
    settings = Settings(providers={"openai": ProviderSettings(key="k"), "ollama": ollama})
    made = providers_of(settings, {})
    assert [(one.name, one.billed) for one in made.values() if isinstance(one, OpenAI)] == [
        ("openai", True),
        ("ollama", False),
    ]


MISSING = """
import sys
sys.modules["openai"] = None
from safelight.configured import providers_of
from safelight.settings import ProviderSettings, Settings, SettingsError
providers_of(Settings(), {})
try:
    providers_of(Settings(providers={"openai": ProviderSettings(key="k")}), {})
except SettingsError as trouble:
    print(trouble)
"""


def test_without_the_sdk_the_settings_are_wrong() -> None:
    """The server says what to install; without such a provider it needs nothing."""
    ran = subprocess.run(
        [sys.executable, "-c", MISSING], capture_output=True, text=True, check=True, timeout=30
    )
    assert "pip install openai" in ran.stdout


ENVIRONMENT = """
import asyncio
from safelight.providers.openai.client import sdk_of
from safelight.settings import ProviderSettings
sdk = sdk_of(ProviderSettings(key="ours"), 1.0)
print(sdk.api_key, sdk.base_url, sdk.max_retries, repr(sdk.organization), repr(sdk.project))
"""


def test_nothing_is_taken_from_the_environment() -> None:
    """Whatever somebody has set for programs of their own."""
    told = {"OPENAI_API_KEY": "theirs", "OPENAI_BASE_URL": "http://theirs", "OPENAI_ORG_ID": "t"}
    ran = subprocess.run(
        [sys.executable, "-c", ENVIRONMENT],
        env=os.environ | told | {"OPENAI_PROJECT_ID": "t"},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    assert ran.stdout.split() == ["ours", "https://api.openai.com/v1/", "0", "''", "''"]
