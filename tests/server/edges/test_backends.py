"""The doors to backends and preferences: what they show, refuse, and tell other tabs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from safelight.backends import Rhythm
from safelight.store import Preference
from tests.doubles.full import Room, full
from tests.doubles.served import PATIENCE, Served, served
from tests.doubles.turns import until
from tests.doubles.workshop import given, workshops

SLOW = Rhythm(up_seconds=3600, first_seconds=3600, most_seconds=3600)
IMAGE: dict[str, Any] = {"kind": "image", "prompt": "a test", "model": "comfyui/txt2img"}


@asynccontextmanager
async def two(directory: Path, **settings: Any) -> AsyncIterator[tuple[Served, Any]]:
    """A server with the backends `kerniegen` and `comfyui`, both known to be up."""
    async with workshops("kerniegen", "comfyui") as made:
        plain: dict[str, Any] = given(made) | {"rhythm": SLOW}
        async with served(directory, **plain | settings) as house:
            await until(lambda: house.context.backends.statistics()["backends_up"] == 2)
            yield house, made


async def choose(house: Served, body: Any, **headers: str) -> Any:
    """PATCH the preferences."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return await house.http.patch("/api/preferences", json=body, headers=named)


async def test_all_backends_are_shown_from_memory(tmp_path: Path) -> None:
    """Each with its address, health, lists and counts, in the order of the settings; and
    nobody is asked for it."""
    async with two(tmp_path, default_backend="comfyui") as (house, made):
        asked = made["kerniegen"].questions
        answer = await house.http.get("/api/backends")
        first, second = answer.json()["data"]["backends"]
        assert made["kerniegen"].questions == asked
    assert (first["name"], second["name"]) == ("kerniegen", "comfyui")
    assert first | {"checked_at": 0, "latency_ms": 0, "models": 0} == {
        "name": "kerniegen",
        "label": "Kerniegen",
        "type": "comfyui",
        "url": made["kerniegen"].url,
        "status": "up",
        "version": "1.2",
        "queue": {"running": 1, "pending": 3},
        "ours": {"running": 0, "waiting": 0},
        "models": 0,
        "checkpoints": ["dream.safetensors", "ink.safetensors"],
        "devices": [{"name": "cpu", "type": "cpu"}],
        "checked_at": 0,
        "latency_ms": 0,
        "error": None,
        "reason": None,
        "unreachable": "refuse",
        "default": False,
        "chosen": False,
    }
    assert "comfyui/txt2img" in first["models"] and not any("local/" in m for m in first["models"])
    assert second["default"] and first["checked_at"].endswith("Z")


async def test_one_backend_is_shown_and_others_are_near(tmp_path: Path) -> None:
    """By its name; an unknown one is 404 with the names that are near."""
    async with two(tmp_path) as (house, _):
        shown = (await house.http.get("/api/backends/comfyui")).json()
        assert (shown["data"]["name"], shown["message"]) == ("comfyui", "comfyui is up")
        missing = await house.http.get("/api/backends/comfy")
        assert missing.status_code == 404 and "near it: comfyui" in missing.json()["detail"]


async def test_a_refresh_is_bounded(tmp_path: Path) -> None:
    """With `refresh=1` they are asked first; one that hangs costs the answer no more than
    `backend_check_seconds`, and the others are fresh."""
    async with two(tmp_path, backend_check_seconds=0.1) as (house, made):
        made["comfyui"].mood = "silent"
        await made["kerniegen"].close()
        house.context.backends.suspect("kerniegen")
        async with asyncio.timeout(PATIENCE):
            while (await _status(house, "kerniegen")) != "down":
                await house.http.get("/api/backends?refresh=1")
        wrong = await house.http.get("/api/backends?refresh=yes")
        assert (
            wrong.status_code == 400 and wrong.json()["error"]["details"][0]["field"] == "refresh"
        )


async def _status(house: Served, name: str) -> str:
    shown = await house.http.get(f"/api/backends/{name}")
    return str(shown.json()["data"]["status"])


async def test_an_ill_backend_says_why(tmp_path: Path) -> None:
    """Its error, and why nothing is sent there now."""
    async with two(tmp_path) as (house, made):
        made["comfyui"].mood = "ill"
        house.context.backends.suspect("comfyui")
        async with asyncio.timeout(PATIENCE):
            while (await _status(house, "comfyui")) != "down":
                pass  # asking takes its time
        shown = (await house.http.get("/api/backends/comfyui")).json()["data"]
        assert shown["error"] == "it answered 500"
        assert shown["reason"].startswith("comfyui is down, asked again")
        health = (await house.http.get("/healthz")).json()["data"]["statistics"]
        assert (health["backends_up"], health["backends_down"]) == (1, 1)


async def test_a_choice_counts_for_what_names_no_backend(tmp_path: Path) -> None:
    """Before the default, and behind what a request names; and it is shown as chosen."""
    async with two(tmp_path, default_backend="comfyui") as (house, _):
        assert await _backend_of(house) == "comfyui"
        assert (await choose(house, {"backend": "kerniegen"})).json()["data"] == {
            "backend": "kerniegen",
            "warnings": [],
        }
        assert await _backend_of(house) == "kerniegen"
        assert await _backend_of(house, backend="comfyui") == "comfyui"
        listed = (await house.http.get("/api/backends")).json()["data"]["backends"]
        assert [one["chosen"] for one in listed] == [True, False]
        await choose(house, {"backend": None})
        assert await _backend_of(house) == "comfyui"


async def _backend_of(house: Served, **fields: Any) -> Any:
    answer = await house.post("/api/tasks", IMAGE | {"reuse": "never"} | fields)
    assert answer.status_code == 202, answer.text
    return answer.json()["data"]["backend"]


async def test_a_choice_survives_a_restart(tmp_path: Path) -> None:
    """It is on disk when it is answered."""
    async with two(tmp_path) as (house, _):
        await choose(house, {"backend": "comfyui"})
    async with two(tmp_path) as (house, _):
        told = (await house.http.get("/api/preferences")).json()["data"]
        assert told == {"backend": "comfyui", "warnings": []}
        assert await _backend_of(house) == "comfyui"


async def test_each_owner_chooses_alone(tmp_path: Path) -> None:
    """What one owner prefers is nothing to another."""
    async with two(tmp_path, tokens={"one": "ann", "two": "bob"}) as (house, _):
        await choose(house, {"backend": "comfyui"}, Authorization="Bearer one")
        for token, expected in (("one", "comfyui"), ("two", None)):
            headers = {"Authorization": f"Bearer {token}"}
            told = (await house.http.get("/api/preferences", headers=headers)).json()["data"]
            assert told["backend"] == expected
        assert (await house.http.get("/api/preferences")).status_code == 401
        assert (await house.http.get("/api/backends")).status_code == 401


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"backend": "comfyu"}, "unknown_backend", "backend"),
        ({"backend": 7}, "invalid", "backend"),
        ({"backends": "comfyui"}, "invalid", "backends"),
        ([], "invalid", "body"),
    ],
)
async def test_a_choice_that_cannot_be_is_refused(
    tmp_path: Path, body: Any, code: str, field: str
) -> None:
    """By field, and with what is near; what was chosen before stays."""
    async with two(tmp_path) as (house, _):
        await choose(house, {"backend": "kerniegen"})
        told = await choose(house, body)
        (detail,) = told.json()["error"]["details"]
        assert (told.status_code, told.json()["code"], detail["field"]) == (400, code, field)
        if code == "unknown_backend":
            assert "near it: comfyui" in detail["expected"]
        assert (await choose(house, {})).json()["data"]["backend"] == "kerniegen"


async def test_a_choice_that_the_settings_have_no_more_is_ignored_aloud(tmp_path: Path) -> None:
    """The request runs elsewhere and is warned; what has no backend, or names one, is not. The
    choice counts again once its backend is back."""
    async with two(tmp_path) as (house, made):
        await choose(house, {"backend": "comfyui"})
    async with workshops("kerniegen") as made:
        async with served(tmp_path, **given(made)) as house:
            told = (await house.http.get("/api/preferences")).json()["data"]
            assert told["backend"] == "comfyui" and "is ignored" in told["warnings"][0]
            data = (await house.post("/api/tasks", IMAGE)).json()["data"]
            assert data["backend"] == "kerniegen" and data["warnings"] == told["warnings"]
            named = await house.post("/api/tasks", IMAGE | {"backend": "kerniegen", "seed": 1})
            assert named.json()["data"]["warnings"] == []
            assert (await house.create())["warnings"] == []
    async with two(tmp_path) as (house, made):
        assert await _backend_of(house) == "comfyui"


async def test_other_tabs_are_told(tmp_path: Path) -> None:
    """Whoever joined `tasks:mine` hears of a change, and who joins later is told in the reply;
    other owners hear nothing."""
    async with two(tmp_path, tokens={"one": "ann", "two": "bob"}) as (house, _):
        async with (
            house.connect("vsn=2.0.0&token=one") as phone,
            house.connect("vsn=2.0.0&token=two") as stranger,
        ):
            reply = await phone.join("tasks:mine")
            assert reply["response"]["preferences"] == {"backend": None, "warnings": []}
            await stranger.join("tasks:mine")
            await choose(house, {"backend": "comfyui"}, Authorization="Bearer one")
            frame = await phone.until(lambda f: f[3] == "preferences")
            assert frame[4] == {"backend": "comfyui", "warnings": []}
            await choose(house, {"backend": None}, Authorization="Bearer one")
            frame = await phone.until(lambda f: f[3] == "preferences")
            assert frame[4]["backend"] is None
            await stranger.push("tasks:mine", "ping", {}, "7")
            assert not any(frame[3] == "preferences" for frame in stranger.received)
            async with house.connect("vsn=2.0.0&token=one") as late:
                await choose(house, {"backend": "kerniegen"}, Authorization="Bearer one")
                reply = await late.join("tasks:mine")
                assert reply["response"]["preferences"]["backend"] == "kerniegen"


async def test_a_choice_that_cannot_be_written_does_not_count(tmp_path: Path) -> None:
    """507, and what was chosen before holds, on disk and in memory."""
    room = Room()
    room.is_there = True
    opened = full(lambda item: isinstance(item, Preference), room)
    async with two(tmp_path, opened=opened) as (house, _):
        await choose(house, {"backend": "comfyui"})
        room.is_there = False
        assert (await choose(house, {"backend": "kerniegen"})).status_code == 507
        told = (await house.http.get("/api/preferences")).json()["data"]
        assert told["backend"] == "comfyui"


async def test_a_server_without_backends_shows_none(house: Served) -> None:
    """An empty list, and nothing to choose."""
    assert (await house.http.get("/api/backends")).json()["data"] == {"backends": []}
    told = (await choose(house, {"backend": "comfyui"})).json()
    assert "no backends are here" in told["detail"]
