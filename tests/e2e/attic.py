"""A Safelight with two KernieGens, the attic and the cellar, and a browser to look at it.

All of them are processes, ended at exit. What is seen there is its callers' business.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
from playwright.async_api import Browser

from tests.doubles.kernie import Kernie, kerniegen
from tests.doubles.process import ServerProcess, server_process
from tests.e2e.chromium import Studio, studio


class House:
    """One Safelight with the backends `attic` and `cellar`, and a browser."""

    def __init__(
        self, server: ServerProcess, kernies: Mapping[str, Kernie], browser: Browser
    ) -> None:
        self.server = server
        self.kernies = kernies
        self.browser = browser

    @asynccontextmanager
    async def page(self, model: str | None = "comfyui/txt2img") -> AsyncIterator[Studio]:
        """A page of its own, live, with that model chosen."""
        async with studio(self.browser, self.server.url) as page:
            await page.open()
            await page.live()
            if model is not None:
                await page.page.select_option("#model", model)
            yield page

    async def ask(self, method: str, path: str, **more: Any) -> Any:
        """The `data` of an answer of the server."""
        async with httpx2.AsyncClient(base_url=self.server.url, trust_env=False) as http:
            answer = await http.request(method, path, **more)
        assert answer.status_code < 300, answer.text
        return answer.json()["data"]


@asynccontextmanager
async def opened(
    browser: Browser, folder: Path, models: str = "", **settings: object
) -> AsyncIterator[House]:
    """Everything else started; `models` is an operator's file of models, if it has words."""
    if models:
        (folder / "models.toml").write_text(models)
        settings["models_file"] = folder / "models.toml"
    with (
        kerniegen(folder / "attic") as attic,
        kerniegen(folder / "cellar", checkpoint=["ink.safetensors", "oil.safetensors"]) as cellar,
    ):
        places = {
            "backends__attic__url": attic.url,
            "backends__attic__label": "The attic",
            "backends__cellar__url": cellar.url,
        }
        with server_process(folder / "data", **places, **settings) as server:
            yield House(server, {"attic": attic, "cellar": cellar}, browser)
