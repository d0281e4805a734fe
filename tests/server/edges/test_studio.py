"""The Studio's files: found, typed, revalidated, and nothing beside them."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest
from starlette.applications import Starlette

from safelight.edges.problems import HANDLERS
from safelight.edges.studio import POLICY, studio_root, studio_routes

PAGE = b"<!doctype html><title>x</title>"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "browser"
    (folder / "parts").mkdir(parents=True)
    (folder / "index.html").write_bytes(PAGE)
    (folder / "studio.js").write_text("export {};")
    (folder / "parts" / "look.css").write_text("p {}")
    (folder / "notes.txt").write_text("no")
    (folder / ".hidden.js").write_text("no")
    (tmp_path / "secret.js").write_text("no")
    return folder


@pytest.fixture
async def client(root: Path) -> AsyncIterator[httpx2.AsyncClient]:
    app = Starlette(routes=studio_routes(root), exception_handlers=HANDLERS)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


@pytest.mark.parametrize(
    ("path", "media_type"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/studio/index.html", "text/html; charset=utf-8"),
        ("/studio/studio.js", "text/javascript; charset=utf-8"),
        ("/studio/parts/look.css", "text/css; charset=utf-8"),
    ],
)
async def test_files_are_served_under_a_policy(
    client: httpx2.AsyncClient, path: str, media_type: str
) -> None:
    """Each file has its type, may load nothing from elsewhere, and is revalidated."""
    answer = await client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == media_type
    assert answer.headers["content-security-policy"] == POLICY
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert (await client.head(path)).status_code == 200


async def test_an_edit_shows_at_the_next_reload(client: httpx2.AsyncClient, root: Path) -> None:
    """An unchanged file is 304 by its tag, a changed one is sent."""
    first = await client.get("/")
    assert first.content == PAGE
    headers = {"if-none-match": first.headers["etag"]}
    again = await client.get("/", headers=headers)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == first.headers["etag"]
    (root / "index.html").write_bytes(PAGE + b"!")
    assert (await client.get("/", headers=headers)).content == PAGE + b"!"


@pytest.mark.parametrize(
    "path",
    [
        "/studio/",
        "/studio/parts",
        "/studio/nothing.js",
        "/studio/notes.txt",
        "/studio/.hidden.js",
        "/studio/%2e%2e/secret.js",
        "/studio/parts/%2e%2e/%2e%2e/secret.js",
        "/studio/..%2fsecret.js",
        "/studio/..%5csecret.js",
        "/studio//etc/x.js",
        "/studio/a%00.js",
        "/studio/parts//look.css",
    ],
)
async def test_nothing_else_is_served(client: httpx2.AsyncClient, path: str) -> None:
    """Absent files, other types, hidden ones and ways out of the folder are 404."""
    answer = await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_checkout_serves_its_own_page() -> None:
    """Installed for development, the page is clients/browser of the checkout."""
    assert studio_root() == Path(__file__).parents[3] / "clients" / "browser"


def test_a_package_serves_what_it_carries(tmp_path: Path) -> None:
    """Installed from a wheel, also a zipped one, the page is the package's own folder."""
    archive = tmp_path / "packed.zip"
    server = Path(__file__).parents[3] / "server"
    with zipfile.ZipFile(archive, "w") as packed:
        for source in server.rglob("*.py"):
            packed.write(source, source.relative_to(server))
        packed.writestr("safelight/studio/index.html", PAGE)
    code = (
        f"import sys; sys.path.insert(0, {str(archive)!r})\n"
        "from safelight.edges.studio import _read, studio_root\n"
        "sys.stdout.buffer.write(_read(studio_root(), 'index.html'))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert result.stdout == PAGE
