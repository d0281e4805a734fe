"""Makes the pictures of the Studio in docs/images: `.venv/bin/python docs/screenshots.py`.

Starts a server and a KernieGen of its own on free ports, with data directories that are
thrown away, fills its gallery over REST, and takes pictures of the page in Chromium (found
by its name, or named by the first argument). It takes about a minute.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx2
from playwright.sync_api import Browser, Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
GREETING = "listening on "
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--disable-background-networking"]

GALLERY: list[dict[str, Any]] = [
    {"kind": "image", "prompt": "Snow over the observatory", "seed": 11},
    {"kind": "image", "prompt": "A meadow in June, poppies", "seed": 4},
    {"kind": "image", "prompt": "The old town by the river at dusk", "seed": 23},
    {"kind": "image", "prompt": "Two moons over a desert of glass", "seed": 8},
    {"kind": "image", "prompt": "Fog in the spruce forest", "seed": 15},
    {"kind": "text", "prompt": "Three sentences about the smell of a darkroom", "seed": 3},
    {"kind": "image", "prompt": "A sailing boat on a green evening", "seed": 42},
    {"kind": "image", "prompt": "Abstract: copper, blue, silence", "seed": 5},
    {"kind": "video", "prompt": "Clouds passing over a quiet harbour", "seed": 7},
    {"kind": "image", "prompt": "Mountains before a thunderstorm", "seed": 31},
    {"kind": "image", "prompt": "A lighthouse in a winter storm, seen from the sea", "seed": 19},
]
RUNNING = {
    "kind": "image",
    "prompt": "Red hills under a green evening sky",
    "model": "local/slow",
    "params": {"width": 1024, "height": 1024, "steps": 12},
    "seed": 27,
}
NOBODY = "http://127.0.0.1:9"
SHOWN_AT = 0.5
"""Of the running task: far enough to see what it will be, still in the red light."""


@contextmanager
def server(what: str = "serve", **settings: str) -> Iterator[str]:
    """The address of a server that lives as long as the block."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "safelight", what, "--port", "0", "--data-dir", folder]
        given = {f"SAFELIGHT_{name.upper()}": value for name, value in settings.items()}
        pipe: dict[str, Any] = {"stdout": subprocess.PIPE, "text": True}
        with subprocess.Popen(command, cwd=folder, env=os.environ | given, **pipe) as child:
            assert child.stdout is not None
            try:
                lines = (line for line in child.stdout if line.startswith(GREETING))
                greeting = next(lines, None)
                if greeting is None:
                    raise SystemExit("The server did not start; it says above why.")
                yield greeting.removeprefix(GREETING).strip()
            finally:
                child.terminate()


def two_backends(one: str) -> dict[str, str]:
    """The settings for one that is up and one that is down."""
    return {
        "backends__kerniegen__url": one,
        "backends__kerniegen__label": "KernieGen",
        "backends__attic__url": NOBODY,
        "backends__attic__label": "The attic",
    }


def create(http: httpx2.Client, body: dict[str, Any]) -> str:
    """Make a task and return its id."""
    answer = http.post("/api/tasks", json=body).raise_for_status()
    return str(answer.json()["data"]["task_id"])


def wait_for_end(http: httpx2.Client, id: str) -> None:
    """Read the task's events to their end; it must have completed."""
    with http.stream("GET", f"/api/tasks/{id}/events") as stream:
        for _ in stream.iter_lines():
            pass
    task = http.get(f"/api/tasks/{id}").json()["data"]
    if task["status"] != "completed":
        raise SystemExit(f"{task['input_data']['prompt']}: {task['status']}, {task['error_data']}")


def open_page(browser: Browser, url: str, size: tuple[int, int], scale: float) -> Page:
    """A page of that size in CSS pixels, with `scale` device pixels to each."""
    viewport = {"width": size[0], "height": size[1]}
    page = browser.new_page(viewport=viewport, device_scale_factor=scale)
    page.set_default_timeout(60_000)
    page.goto(url)
    page.wait_for_selector("#line[data-state=live]")
    page.wait_for_function(PICTURES_ARE_THERE)
    return page


PICTURES_ARE_THERE = """() => [...document.querySelectorAll('#cards img[src]')]
    .slice(0, 12).every((img) => img.complete)"""


HAS_REACHED = "(percent) => document.querySelector('#stage .bar').ariaValueNow >= percent"


def take_desk(browser: Browser, url: str, http: httpx2.Client) -> None:
    """A task that runs, before a filled gallery."""
    page = open_page(browser, url, (1440, 900), 1)
    page.fill("#prompt", RUNNING["prompt"])
    id = create(http, RUNNING)
    page.goto(f"{url}/#/t/{id}")
    page.wait_for_selector("#stage .print[data-status=processing] .layer.front")
    page.wait_for_function(HAS_REACHED, arg=SHOWN_AT * 100)
    page.screenshot(path=IMAGES / "studio.png", animations="disabled")
    page.close()


def take_phone(browser: Browser, url: str, id: str) -> None:
    """A finished picture on a phone."""
    page = open_page(browser, f"{url}/#/t/{id}", (390, 844), 2)
    page.wait_for_selector("#stage .result .ready")
    page.locator("#stage").evaluate("(stage) => stage.scrollIntoView()")
    page.screenshot(path=IMAGES / "studio-phone.png", animations="disabled")
    page.close()


def take_backends(browser: Browser, url: str) -> None:
    """The choice between two backends, of which one is down."""
    page = open_page(browser, url, (1440, 1400), 1.5)
    page.select_option("#model", "comfyui/txt2img")
    page.locator("#place-list label", has_text="The attic").click()
    page.wait_for_selector("#place-note:not(:empty)")
    top, end = (page.locator(part).bounding_box() for part in ("#bench", "#places"))
    assert top is not None and end is not None
    clip = top | {"height": end["y"] + end["height"] + 12 - top["y"]}
    page.screenshot(path=IMAGES / "backends.png", clip=clip, animations="disabled")
    page.close()


def main() -> None:
    chromium = sys.argv[1] if len(sys.argv) > 1 else shutil.which("chromium")
    IMAGES.mkdir(exist_ok=True)
    with server() as url, httpx2.Client(base_url=url, timeout=120) as http:
        for body in GALLERY:
            id = create(http, body)
            wait_for_end(http, id)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
            take_phone(browser, url, id)
            take_desk(browser, url, http)
            with server("kerniegen") as one, server(**two_backends(one)) as other:
                take_backends(browser, other)
            browser.close()


if __name__ == "__main__":
    main()
