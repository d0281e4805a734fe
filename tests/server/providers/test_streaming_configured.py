"""How the providers of streams come out of the settings: by name, without their SDKs, and with
an environment that is somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from safelight.configured import providers_of
from safelight.settings import ProviderSettings, Settings

MISSING = """
import sys
sys.modules["{module}"] = None
from safelight.configured import providers_of
from safelight.settings import ProviderSettings, Settings, SettingsError
providers_of(Settings(), {{}})
try:
    providers_of(Settings(providers={{"{type_}": ProviderSettings(key="k")}}), {{}})
except SettingsError as trouble:
    print(trouble)
"""

ASKED = """
import asyncio, sys
from safelight.configured import providers_of
from safelight.providers.base import Prediction
from safelight.settings import ProviderSettings, Settings
from tests.doubles.heard import followed, prediction
from tests.doubles.sse_end import sse_end, answered

async def main():
    async with sse_end([answered(500, b"no")]) as end:
        one = ProviderSettings(url=end.url, key="ours")
        provider = providers_of(Settings(providers={"%s": one}), {})["%s"]
        async with provider.open():
            await followed(provider, prediction())
        (asked,) = end.asked
        print(asked.line, asked.headers)

asyncio.run(main())
"""

THEIRS = {
    "ANTHROPIC_CUSTOM_HEADERS": "X-Api-Key: theirs\nX-Team: theirs",
    "OPENAI_API_KEY": "theirs",
    "OPENAI_ADMIN_KEY": "theirs",
    "OPENAI_BASE_URL": "http://127.0.0.1:1/theirs",
    "OPENAI_CUSTOM_HEADERS": "Authorization: Bearer theirs\nX-Team: theirs",
    "OPENAI_ORG_ID": "theirs",
    "OPENAI_PROJECT_ID": "theirs",
    "GOOGLE_GENAI_CLIENT_MODE": "replay",
    "GOOGLE_GENAI_REPLAYS_DIRECTORY": "/theirs",
    "GOOGLE_GENAI_REPLAY_ID": "a/b/mldev",
    "ANTHROPIC_API_KEY": "theirs",
    "ANTHROPIC_AUTH_TOKEN": "theirs",
    "ANTHROPIC_BASE_URL": "http://127.0.0.1:1/theirs",
    "GEMINI_API_KEY": "theirs",
    "GOOGLE_API_KEY": "theirs",
    "GOOGLE_GEMINI_BASE_URL": "http://127.0.0.1:1/theirs",
    "GOOGLE_GENAI_USE_VERTEXAI": "true",
    "GOOGLE_CLOUD_PROJECT": "theirs",
    "GOOGLE_GENAI_API_VERSION": "vtheirs",
    "HTTP_PROXY": "http://127.0.0.1:1",
    "http_proxy": "http://127.0.0.1:1",
    "ALL_PROXY": "http://127.0.0.1:1",
}
TYPES = ("anthropic", "gemini")


def _run(code: str, **environment: str) -> str:
    ran = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return ran.stdout


@pytest.mark.parametrize("type_", TYPES)
def test_there_may_be_several_by_name(type_: str) -> None:
    """Each is called what its table is called, and none can be taken up again."""
    other = ProviderSettings(type=type_, url="http://127.0.0.1:9", key="k")
    settings = Settings(providers={type_: ProviderSettings(key="k"), "other": other})
    made = [providers_of(settings, {})[name] for name in (type_, "other")]
    assert [(one.name, one.billed, one.resumable) for one in made] == [
        (type_, True, False),
        ("other", True, False),
    ]
    assert type(made[0]) is type(made[1])


@pytest.mark.parametrize(
    ("type_", "module", "sdk"),
    [("anthropic", "anthropic", "anthropic"), ("gemini", "google.genai", "google-genai")],
)
def test_without_the_sdk_the_settings_are_wrong(type_: str, module: str, sdk: str) -> None:
    """The server says what to install; without such a provider it needs nothing."""
    told = _run(MISSING.format(type_=type_, module=module))
    assert f"pip install {sdk} brings it" in told


@pytest.mark.parametrize("type_", [*TYPES, "openai"])
def test_nothing_is_taken_from_the_environment(type_: str) -> None:
    """Neither key nor header nor address nor proxy that somebody has set for programs of their
    own."""
    told = _run(ASKED % (type_, type_), **THEIRS)
    assert "ours" in told and "theirs" not in told
