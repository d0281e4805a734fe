"""Neither our keys nor what a vendor says of our account reach an owner or a log."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import httpx2
import pytest

from tests.doubles.process import server_process

KEY = "sk-ours-0123456789abcdef"
VENDOR = "VENDORTEXT"
SECRET = "whsec_b3VycyBhbG9uZQ=="
PLACES = ("/healthz", "/api/models", "/api/tasks", "/api/usage", "/api/providers")
TYPES = ("replicate", "openai", "anthropic", "gemini", "superduperai")

SAID = json.dumps(
    {
        "error": {"message": f"{VENDOR} {KEY}", "type": VENDOR, "code": VENDOR, "status": VENDOR},
        "detail": f"{VENDOR} {KEY}",
        "title": VENDOR,
        "message": VENDOR,
    }
).encode()


class Vendor:
    """Answers whatever it is asked with one status and its own words."""

    def __init__(self) -> None:
        self.status = 401
        self.url = ""

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        try:
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).lower()
                length = head.partition(b"content-length:")[2].split(b"\r\n")[0].strip()
                await reader.readexactly(int(length or 0))
                line = b"HTTP/1.1 %d %s\r\n" % (self.status, VENDOR.encode())
                more = b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(SAID)
                writer.write(line + more + SAID)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def vending() -> AsyncIterator[Vendor]:
    """The vendor, as long as the block lasts."""
    vendor = Vendor()
    server = await asyncio.start_server(vendor.handle, "127.0.0.1", 0)
    vendor.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield vendor
    finally:
        server.close()


def _settings(url: str) -> dict[str, Any]:
    settings: dict[str, Any] = {"log_level": "debug", "attempts": 1, "budget_per_day": 1000}
    for name in TYPES:
        settings |= {f"providers__{name}__key": KEY, f"providers__{name}__url": url}
    return settings | {"providers__replicate__webhook_secret": SECRET}


async def _models(client: httpx2.AsyncClient) -> dict[tuple[str, str], str]:
    """One model of every kind at every provider."""
    models = (await client.get("/api/models")).json()["data"]["models"]
    places = {(one["provider"], one["kind"]): one["name"] for one in models}
    return {place: name for place, name in places.items() if place[0] in TYPES}


async def _asked(client: httpx2.AsyncClient, kind: str, model: str) -> str:
    """All that an owner is told of one request, up to its end; a cancel helps that on."""
    made = await client.post("/api/tasks", json={"kind": kind, "prompt": "x", "model": model})
    if made.status_code != 202:
        return made.text
    path = f"/api/tasks/{made.json()['data']['task_id']}"
    first = await client.get(f"{path}/events", params={"after": 2, "wait": 5})
    await client.post(f"{path}/cancel")
    last = await client.get(f"{path}/events", params={"wait": 0})
    return made.text + first.text + last.text + (await client.get(path)).text


@pytest.mark.slow
async def test_what_a_vendor_says_of_our_account_stays_here(tmp_path: Path) -> None:
    """On 401, 402, 403 and its own trouble: no door, no figure and no log line has its words
    or our key, at the finest level of the log."""
    async with vending() as vendor:
        with server_process(tmp_path / "data", **_settings(vendor.url)) as server:
            async with httpx2.AsyncClient(base_url=server.url, trust_env=False) as client:
                told = ""
                models = await _models(client)
                assert {provider for provider, _ in models} == set(TYPES)
                for vendor.status in (401, 402, 403, 500):
                    asked = [_asked(client, kind, model) for (_, kind), model in models.items()]
                    told += "".join(await asyncio.gather(*asked))
                for path in PLACES:
                    told += (await client.get(path)).text
            await anyio.to_thread.run_sync(server.stop)
            log = server.stderr()
    assert "provider.refused" in log
    for word in (VENDOR, KEY, SECRET):
        assert word not in told
        assert word not in log
