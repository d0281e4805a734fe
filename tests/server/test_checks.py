"""Requests held against what their provider knows, before they become tasks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio

from safelight.providers.base import Wanted
from safelight.providers.scripted import Scripted
from safelight_protocol.codes import Refused
from safelight_protocol.fields import invalid
from tests.doubles.served import served


class Knowing(Scripted):
    """A scripted provider that knows what its models take, and counts how often it is asked."""

    def __init__(self) -> None:
        super().__init__()
        self.checked: list[Wanted] = []
        self.refusal: Refused | None = None
        self.silent = False
        self.told: dict[str, Any] | None = {
            "type": "object",
            "properties": {"colour": {"type": "string", "enum": ["red"], "x-order": 9}},
            "required": ["colour"],
            "additionalProperties": False,
        }

    async def check(self, wanted: Wanted) -> None:
        """Say what it was made to say."""
        self.checked.append(wanted)
        if self.silent:
            await anyio.sleep_forever()
        if self.refusal is not None:
            raise self.refusal

    async def schema(self, model: str) -> dict[str, Any] | None:
        """What it was made to tell."""
        if self.silent:
            await anyio.sleep_forever()
        if self.refusal is not None:
            raise self.refusal
        return self.told


WRONG = [{"field": "params.colour", "found": '"blue"', "expected": "one of red"}]


async def test_a_refusal_keeps_the_task_from_being(tmp_path: Path) -> None:
    """What the provider does not take is refused with its words, and no task is made."""
    knowing = Knowing()
    knowing.refusal = invalid([dict(one) for one in WRONG])
    async with served(tmp_path, scripted_provider=knowing) as house:
        body = {
            "kind": "image",
            "prompt": "x",
            "model": "scripted/image",
            "params": {"colour": "blue"},
        }
        answer = await house.post("/api/tasks", body)
        assert answer.status_code == 400
        assert answer.json()["error"]["details"] == WRONG
        assert (await house.http.get("/api/tasks")).json()["data"]["tasks"] == []


async def test_only_what_would_be_new_is_checked(tmp_path: Path) -> None:
    """A request that attaches is not held against anything: the task is there."""
    knowing = Knowing()
    async with served(tmp_path, scripted_provider=knowing) as house:
        await house.create(id="one", params={"colour": "red"}, seed=3)
        knowing.refusal = Refused("provider_unreachable", "It is away.")
        await house.create(id="one", params={"colour": "red"}, seed=3)
        assert len(knowing.checked) == 1
        wanted = knowing.checked[0]
        assert (wanted.kind, wanted.prompt, wanted.seed) == ("image", "a test", 3)


async def test_a_silent_provider_is_waited_for_in_vain(tmp_path: Path) -> None:
    """One that does not answer in time is told as unreachable, and nothing is accepted."""
    knowing = Knowing()
    knowing.silent = True
    async with served(tmp_path, scripted_provider=knowing, backend_check_seconds=0.05) as house:
        answer = await house.post(
            "/api/tasks", {"kind": "image", "prompt": "x", "model": "scripted/image"}
        )
        assert (answer.status_code, answer.json()["code"]) == (503, "provider_unreachable")
        told = await house.http.get("/api/models/scripted/image/schema")
        assert told.status_code == 200 and told.json()["data"]["properties"] == {}


async def test_an_operator_may_queue(tmp_path: Path) -> None:
    """Where the settings say so, the task is taken all the same, and says that it waits."""
    knowing = Knowing()
    knowing.refusal = Refused("provider_unreachable", "It is away.")
    async with served(tmp_path, scripted_provider=knowing, unreachable="queue") as house:
        data = await house.create()
        assert any("waits for it" in str(one) for one in data["warnings"])


async def test_inputs_are_told_by_their_type(tmp_path: Path) -> None:
    """The provider learns what a request starts from, before there is a prediction."""
    knowing = Knowing()
    async with served(tmp_path, scripted_provider=knowing) as house:
        picture = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x02\0\0\0\x90wS\xde"
        sent = await house.http.post(
            "/api/uploads", content=picture, headers={"content-type": "image/png"}
        )
        upload = sent.json()["data"]["id"]
        await house.create(inputs=[{"upload": upload}])
        assert [one.media_type for one in knowing.checked[0].inputs] == ["image/png"]


async def test_the_schema_is_the_providers(tmp_path: Path) -> None:
    """A model's schema is what its provider tells; where it tells nothing, what we know."""
    knowing = Knowing()
    async with served(tmp_path, scripted_provider=knowing) as house:
        for path in ("/api/models", "/api/image-models"):
            told = (await house.http.get(f"{path}/scripted/image/schema")).json()["data"]
            assert told["properties"]["colour"] == {"type": "string", "enum": ["red"], "x-order": 0}
            assert told["required"] == ["colour"] and told["x-model"] == "scripted/image"
        knowing.told = None
        told = (await house.http.get("/api/models/scripted/image/schema")).json()["data"]
        assert told["properties"] == {} and told["additionalProperties"] is True
        missing = await house.http.get("/api/models/no/such/schema")
        assert missing.status_code == 404
