"""Commands on a joined topic: in bytes, as JSON in bytes, and pages of the gallery."""

from __future__ import annotations

import json
from typing import Any

import pytest

from safelight_protocol import binary
from tests.doubles.poller import Poller
from tests.doubles.served import Served
from tests.doubles.talks import ROOM, WAIT, WORDS, asked, response, room


async def test_a_ping_of_bytes_comes_back_as_bytes(house: Served) -> None:
    """Kind 0 is answered by kind 1 with the very bytes; an empty join_ref is the current one."""
    async with room(house) as phone:
        for join_ref in ("7", None):
            await phone.connection.send(
                binary.encode_client_push(join_ref, "9", ROOM, "ping", b"\x00\xff{")
            )
            reply = await phone.until(lambda f: isinstance(f, bytes))
            assert binary.decode_server(reply) == binary.BinaryFrame(
                kind="reply",
                join_ref="7",
                ref="9",
                topic=ROOM,
                event="phx_reply",
                status="ok",
                payload=b"\x00\xff{",
            )


async def test_nothing_binary_reaches_a_poller(house: Served) -> None:
    """Over long-poll a ping of bytes is refused in words, and a command in bytes is taken;
    previews come by address."""
    poller = Poller(house.http)
    await poller.open()
    await poller.join(ROOM, {"events": True, "previews": "binary"})
    await poller.post(binary.encode_client_push("7", "9", ROOM, "ping", b"\x00"))
    refused = await poller.until(lambda f: f[1] == "9")
    script = [{"do": "preview", "step": 1}, WAIT]
    asks = {"prompt": "a pond", "model": "scripted/image", "script": script}
    body = json.dumps(asks).encode()
    await poller.post(binary.encode_client_push("7", "10", ROOM, "image_generate", body))
    taken = await poller.until(lambda f: f[1] == "10")
    shown = await poller.until(lambda f: f[3] == "preview_ready")
    house.scripted.gate("end").set()
    await poller.until_event("completed")
    assert (refused[4]["response"]["code"], taken[4]["status"]) == ("invalid", "ok")
    assert shown[4]["task_id"] == taken[4]["response"]["task_id"]


async def test_bytes_that_hold_json_are_a_command(house: Served) -> None:
    """A binary `cancel` or `llm_generate` does what the text one does; its reply is text."""
    async with room(house) as phone:
        body = json.dumps(asked(*WORDS)).encode()
        wire = binary.encode_client_push("7", "9", ROOM, "llm_generate", body)
        await phone.connection.send(wire)
        reply = await phone.until(lambda f: f[1] == "9")
        assert (reply[4]["status"], (await response(phone))["content"]) == ("ok", "An old pond.")


@pytest.mark.parametrize(
    ("event", "code"), [("llm_generate", "invalid"), ("paint", "unknown_event")]
)
@pytest.mark.parametrize("body", [b"\x00\x01", b"[1]", b"", b"\xff"])
async def test_other_bytes_are_refused_in_words(
    house: Served, event: str, code: str, body: bytes
) -> None:
    """Bytes that mean nothing get a typed error, and the socket stays."""
    async with room(house) as phone:
        await phone.connection.send(binary.encode_client_push("7", "9", ROOM, event, body))
        reply = await phone.until(lambda f: f[1] == "9")
        assert (reply[4]["status"], reply[4]["response"]["code"]) == ("error", code)
        assert (await phone.push("phoenix", "heartbeat", {}))["status"] == "ok"


@pytest.mark.parametrize(
    ("payload", "field"),
    [({"limit": 0}, "limit"), ({"limit": "9"}, "limit"), ({"before": 5}, "before")],
)
async def test_a_bad_page_of_the_gallery_is_refused(
    house: Served, payload: dict[str, Any], field: str
) -> None:
    """`list` names the field that is wrong instead of answering something else."""
    async with house.connect() as phone:
        await phone.join("tasks:mine")
        reply = await phone.push("tasks:mine", "list", payload, join_ref="7")
        fine = await phone.push("tasks:mine", "list", {"limit": 1, "page": 2}, join_ref="7")
    assert (reply["status"], reply["response"]["code"]) == ("error", "invalid")
    assert reply["response"]["details"][0]["field"] == field
    assert fine["response"]["warnings"] == ["page is ignored"]
