"""The npm package `@supabase/realtime-js`, unmodified: 2.119 (V2) and 2.11 (V1).

It follows a task by its own topic, `task:<id>`, which it spells `realtime:task:<id>`.
It sends no cursor, so each subscription is told where the task stands, then the rest.
"""

from __future__ import annotations

import json
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.process import ServerProcess, server_process
from tests.e2e.node_process import Node, node_process

PAINT = {"kind": "image", "prompt": "a lighthouse", "model": "local/paint"}
SMALL = {"width": 256, "height": 256, "steps": 20}

pytestmark = pytest.mark.needs("node", "npm packages")
versions = pytest.mark.parametrize("version", ["realtime-v1", "realtime-v2"])


def realtime(
    server: ServerProcess, version: str, topic: str, ack: bool = True
) -> AbstractContextManager[Node]:
    """The library in Node, subscribed to a topic."""
    address = server.url.replace("http", "ws") + "/socket"
    return node_process("realtime_client.mjs", version, address, topic, json.dumps(ack))


def create(server: ServerProcess, id: str, **more: Any) -> None:
    """A task that paints."""
    body = PAINT | {"id": id, "params": SMALL} | more
    assert httpx2.post(f"{server.url}/api/tasks", json=body).status_code == 202


def until_heard(node: Node, event: str, type: str | None = None) -> dict[str, Any]:
    """The payload of the next broadcast of that event, and type."""
    line = node.until(
        lambda t: (
            t.get("heard", {}).get("event") == event
            and type in (None, t["heard"]["payload"].get("type"))
        )
    )
    assert line["heard"]["type"] == "broadcast"
    return dict(line["heard"]["payload"])


def events(node: Node) -> list[dict[str, Any]]:
    """The task events heard so far."""
    heard = [t["heard"] for t in node.told if "heard" in t]
    return [h["payload"] for h in heard if h["event"] == "progress"]


def states(node: Node) -> list[str]:
    """The states of the subscription so far."""
    return [t["state"] for t in node.told if "state" in t]


@versions
def test_it_subscribes_and_sees_the_result(version: str, tmp_path: Path) -> None:
    """SUBSCRIBED, where the task stands, then every event up to its result."""
    with server_process(tmp_path / "data", local_pace_seconds=0.02) as server:
        create(server, "s1")
        with realtime(server, version, "task:s1") as node:
            node.until(lambda t: t.get("state") == "SUBSCRIBED")
            status = until_heard(node, "status")
            end = until_heard(node, "progress", "completed")
    seqs = [e["seq"] for e in events(node)]
    assert seqs == list(range(status["seq"] + 1, seqs[-1] + 1))
    assert end["result_data"]["image_url"]
    assert [t for t in node.told if "thrown" in t] == []


@versions
def test_it_survives_a_restart(version: str, tmp_path: Path) -> None:
    """After SIGKILL and a restart a subscription is told where the task stands, and its end.

    2.119 comes back by itself. 2.11 tears its channels down when its socket reconnects, so
    there the page has to subscribe again when it is told CHANNEL_ERROR."""
    with server_process(tmp_path / "data", local_pace_seconds=0.1) as server:
        create(server, "s2")
        with realtime(server, version, "task:s2") as node:
            until_heard(node, "progress", "progress")
            server.kill()
            server.start()
            if version == "realtime-v1":
                node.until(lambda t: t.get("state") == "CHANNEL_ERROR")
                node.do(again=True)
            end = until_heard(node, "progress", "completed")
    assert end["result_data"]["image_url"]
    assert states(node).count("SUBSCRIBED") >= 2
    assert [e["type"] for e in events(node)].count("completed") == 1
    assert [t for t in node.told if "thrown" in t] == []


@versions
def test_it_commands(version: str, tmp_path: Path) -> None:
    """Its broadcasts are commands, answered when it asked for that; a token and a presence
    do no harm, and what means nothing is an error that it understands."""
    with server_process(tmp_path / "data", local_pace_seconds=0.5) as server:
        create(server, "s3")
        with realtime(server, version, "task:s3") as node:
            node.until(lambda t: t.get("state") == "SUBSCRIBED")
            for event, answer in (("ping", "ok"), ("paint", "error"), ("image_generate", "error")):
                node.do(send=[event, {}])
                assert node.until(lambda t: "sent" in t)["sent"] == answer
            node.do(track={"name": "ann"})
            assert node.until(lambda t: "tracked" in t)["tracked"] == "ok"
            node.do(token="a.b.c")
            asked = {"prompt": "a lighthouse", "model": "local/paint"} | SMALL
            node.do(send=["image_generate", asked])
            assert until_heard(node, "image_response")["task_id"] == "s3"
            node.do(send=["cancel", {}])
            assert until_heard(node, "progress", "canceled")["status"] == "canceled"
            node.do(leave=True)
            assert node.until(lambda t: "left" in t)["left"] == "ok"
    assert "CLOSED" in states(node)
    assert [t for t in node.told if "thrown" in t] == []


@versions
def test_without_ack_nothing_is_answered(version: str, tmp_path: Path) -> None:
    """A client that wants no answers still has its commands carried out."""
    with server_process(tmp_path / "data", local_pace_seconds=0.5) as server:
        create(server, "s4")
        with realtime(server, version, "task:s4", ack=False) as node:
            node.until(lambda t: t.get("state") == "SUBSCRIBED")
            node.do(send=["cancel", {}])
            until_heard(node, "progress", "canceled")
    assert [t["sent"] for t in node.told if "sent" in t] == ["ok"]
    assert [t for t in node.told if "thrown" in t] == []


@versions
def test_an_unknown_task_is_an_error_to_it(version: str, tmp_path: Path) -> None:
    """A subscription to nobody's task fails in its own words, and the socket stays."""
    with (
        server_process(tmp_path / "data") as server,
        realtime(server, version, "task:nobody") as node,
    ):
        line = node.until(lambda t: t.get("state") == "CHANNEL_ERROR")
    assert "not found" in line["error"]
    assert [t for t in node.told if "thrown" in t] == []


def test_bytes_are_refused_in_words(tmp_path: Path) -> None:
    """A broadcast of bytes, which only V2 can send, is an error and not the end."""
    with server_process(tmp_path / "data", local_pace_seconds=0.02) as server:
        create(server, "s5")
        with realtime(server, "realtime-v2", "task:s5") as node:
            node.until(lambda t: t.get("state") == "SUBSCRIBED")
            node.do(bytes=[1, 2, 255])
            assert node.until(lambda t: "sent" in t)["sent"] == "error"
            until_heard(node, "progress", "completed")
    assert states(node) == ["SUBSCRIBED"]
