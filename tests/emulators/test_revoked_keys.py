"""A key that is revoked while an emulator runs, seen by the official SDK of each provider.

The question is the one that costs nothing: whose key it is, or which models there are.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import anthropic
import httpx2
import openai
import pytest
import replicate.exceptions
from google import genai
from google.genai import errors, types
from replicate.client import Client

from tests.doubles.emulated import Emulated, emulated

pytestmark = pytest.mark.slow

Seen = tuple[int, str]
"""The status that was answered, and the word for it; 200 and something that was told."""


def _replicate(server: Emulated) -> Seen:
    client = Client(api_token=server.key, base_url=server.url)
    try:
        return 200, client.accounts.current().username
    except replicate.exceptions.ReplicateError as refused:
        return refused.status or 0, refused.title or ""
    finally:
        client._client.close()


def _openai(server: Emulated) -> Seen:
    url = f"{server.url}/v1"
    with openai.OpenAI(api_key=server.key, base_url=url, max_retries=0) as client:
        try:
            return 200, client.models.list().data[0].id
        except openai.AuthenticationError as refused:
            return refused.status_code, str(refused.code)


def _anthropic(server: Emulated) -> Seen:
    made = anthropic.Anthropic(api_key=server.key, base_url=server.url, max_retries=0)
    with made as client:
        try:
            return 200, client.models.list(limit=1).data[0].id
        except anthropic.AuthenticationError as refused:
            assert isinstance(refused.body, dict)
            return refused.status_code, refused.body["error"]["type"]


def _gemini(server: Emulated) -> Seen:
    options = types.HttpOptions(base_url=server.url)
    client = genai.Client(api_key=server.key, http_options=options)
    try:
        return 200, client.models.list(config={"page_size": 1}).page[0].name or ""
    except errors.ClientError as refused:
        return refused.code, refused.details["error"]["details"][0]["reason"]
    finally:
        client.close()


def _superduperai(server: Emulated) -> Seen:
    """There is no SDK of theirs: its one header, by hand."""
    answer = httpx2.get(f"{server.url}/api/v1/user/me", headers=server.headers, verify=False)
    said = answer.json()
    return answer.status_code, said["detail"] if answer.is_error else said["id"]


ASK: dict[str, tuple[Callable[[Emulated], Seen], Seen]] = {
    "replicate": (_replicate, (401, "Unauthenticated")),
    "openai": (_openai, (401, "invalid_api_key")),
    "anthropic": (_anthropic, (401, "authentication_error")),
    "gemini": (_gemini, (400, "API_KEY_INVALID")),
    "superduperai": (_superduperai, (401, "Unauthorized")),
}


@pytest.mark.parametrize("name", list(ASK))
def test_a_key_is_taken_until_it_is_revoked(name: str, tmp_path: Path) -> None:
    """Who has the key is told something; revoked, it is refused in the provider's own words;
    taken again, it is as before. No run is counted for any of it."""
    ask, refused = ASK[name]
    with emulated(tmp_path, name) as server:
        status, told = ask(server)
        assert status == 200 and told
        server.take_only("another")
        assert ask(server) == refused
        server.take_only(server.key)
        assert ask(server) == (200, told)
        assert server.runs() == []


def test_only_a_key_can_be_named(tmp_path: Path) -> None:
    """What is no key changes nothing."""
    with emulated(tmp_path, "anthropic") as server:
        url = f"{server.url}/emulator/key"
        assert httpx2.post(url, content=b"{", verify=False).status_code == 400
        assert httpx2.post(url, json={"another": "x"}, verify=False).status_code == 400
        assert _anthropic(server)[0] == 200
