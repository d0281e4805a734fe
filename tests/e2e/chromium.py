"""A real Chromium with a fresh profile, and the Studio's page in it as tests see it.

What the page complains about (errors, refused by the content policy) is kept, and so is
every frame of its sockets, in order. Waits end with what is waited for, or fail.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from playwright.async_api import Browser, ConsoleMessage, Page, WebSocket, async_playwright, expect

FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --disable-background-networking"
    " --disable-component-update --disable-sync"
).split()
PATIENCE_MS = 15_000
DESKTOP = (1440, 900)

expect.set_options(timeout=PATIENCE_MS)


class Studio:
    """The page, with what it said and heard."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.complaints: list[str] = []
        self.sent: list[Any] = []
        self.received: list[Any] = []
        page.set_default_timeout(PATIENCE_MS)
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self._socket)

    async def open(self, path: str = "/") -> Studio:
        """Load the page at a path or fragment."""
        await self.page.goto(self.base + path)
        return self

    async def live(self) -> None:
        """Wait until the page has a live connection."""
        await expect(self.page.locator("#line")).to_have_attribute("data-state", "live")

    def stage(self, selector: str) -> Any:
        """Something of the task that is shown large."""
        return self.page.locator(f"#stage {selector}")

    async def is_wider_than_its_window(self) -> bool:
        """Whether somebody would have to scroll sideways."""
        script = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
        return bool(await self.page.evaluate(script))

    def joins(self, topic: str) -> list[Any]:
        """The payloads of the joins of a topic, in order."""
        return [f[4] for f in self.sent if f[2] == topic and f[3] == "phx_join"]

    def events(self, topic: str) -> list[Any]:
        """The task events that came on a topic, in order."""
        return [f[4] for f in self.received if f[2] == topic and f[3] == "progress"]

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location['url']})")

    def _socket(self, socket: WebSocket) -> None:
        socket.on("framesent", lambda data: _keep(self.sent, data))
        socket.on("framereceived", lambda data: _keep(self.received, data))


def _keep(frames: list[Any], data: str | bytes) -> None:
    if isinstance(data, str):
        frames.append(json.loads(data))


@asynccontextmanager
async def chromium() -> AsyncIterator[Browser]:
    """The machine's Chromium; ended at exit."""
    async with async_playwright() as playwright:
        path = shutil.which("chromium")
        browser = await playwright.chromium.launch(executable_path=path, args=FLAGS)
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def studio(
    browser: Browser, base: str, size: tuple[int, int] = DESKTOP
) -> AsyncIterator[Studio]:
    """A page of its own, with nothing kept from others."""
    viewport = {"width": size[0], "height": size[1]}
    context = await browser.new_context(viewport=viewport)
    try:
        yield Studio(await context.new_page(), base)
    finally:
        await context.close()
