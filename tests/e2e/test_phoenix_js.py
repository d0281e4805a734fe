"""The npm package `phoenix`, unmodified, 1.7 and 1.8, in Node and in Chromium.

Needs no helper of ours on the client's side but the cursor in the join payload, which
docs/wire.md asks of every client that wants to resume.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.process import server_process
from tests.e2e.chromium import FLAGS
from tests.e2e.node_process import HERE, PATIENCE
from tests.e2e.phoenix_node import node_client

PAINT = {"kind": "image", "prompt": "a lighthouse at dusk", "model": "local/paint"}
SMALL = {"width": 256, "height": 256, "steps": 8}

in_node = pytest.mark.needs("node", "npm packages")
in_chromium = pytest.mark.needs("chromium", "npm packages")


@in_node
@pytest.mark.parametrize("version", ["1.7", "1.8"])
def test_join_progress_preview_and_leave(version: str, tmp_path: Path) -> None:
    """It joins, creates, sees progress and binary previews up to the end, and leaves."""
    with server_process(tmp_path / "data", local_pace_seconds=0.02) as server:
        join = {"create": PAINT | {"params": SMALL}, "previews": "binary"}
        with node_client(server.url, version, "task:p1", join) as node:
            joined = node.until(lambda t: "joined" in t)["joined"]
            end = node.until_event("completed")
            node.do(push=["ping", {"a": 1}])
            assert node.until(lambda t: "ok" in t)["ok"] == {"a": 1}
            node.do(leave=True)
            node.until(lambda t: t.get("left") is True)
    seqs = [e["seq"] for e in node.events]
    assert seqs == list(range(joined["seq"] + 1, seqs[-1] + 1))
    assert end["result_data"]["image_url"]
    previews = [t for t in node.told if "preview" in t]
    assert previews
    assert all(t["preview"]["task_id"] == "p1" and t["bytes"] > 100 for t in previews)


@in_node
@pytest.mark.parametrize("version", ["1.7", "1.8"])
def test_a_killed_server_is_resumed_by_itself(version: str, tmp_path: Path) -> None:
    """SIGKILL in mid-task and a restart: it rejoins with its cursor and sees every seq
    once, in order, to exactly one end."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        join = {"create": PAINT | {"params": SMALL | {"steps": 20}}}
        with node_client(server.url, version, "task:p2", join) as node:
            node.until_event("progress")
            node.until_event("progress")
            server.kill()
            node.until(lambda t: "closed" in t)
            server.start()
            node.until_event("completed")
    seqs = [e["seq"] for e in node.events]
    ends = [e for e in node.events if e["type"] in ("completed", "failed", "canceled")]
    joins = [t["joined"] for t in node.told if "joined" in t]
    assert seqs == list(range(joins[0]["seq"] + 1, seqs[-1] + 1))
    assert len(ends) == 1
    assert [j["gap"] for j in joins] == [False] * len(joins)
    assert len(joins) >= 2
    assert [e["attempt"] for e in node.events if e["type"] == "started"][-1] == 2


@in_node
def test_a_drained_server_is_resumed_by_itself(tmp_path: Path) -> None:
    """SIGTERM closes with 1012, after which even phoenix.js 1.7 comes back."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        join = {"create": PAINT | {"params": SMALL | {"steps": 20}}}
        with node_client(server.url, "1.7", "task:p3", join) as node:
            node.until_event("progress")
            assert server.stop() == 0
            assert node.until(lambda t: "closed" in t)["closed"] == 1012
            server.start()
            node.until_event("completed")
    seqs = [e["seq"] for e in node.events]
    assert seqs == list(range(seqs[0], seqs[-1] + 1))


PAGE = """
async ([origin, topic, join]) => {
  const told = [];
  const socket = new Phoenix.Socket(origin.replace("http", "ws") + "/socket");
  socket.connect();
  let log = null, seq = 0;
  const channel = socket.channel(topic, () => log === null ? join : {after: `${log}-${seq}`});
  window.told = told;
  channel.on("preview", (data) => told.push({preview: data.byteLength}));
  channel.on("progress", (event) => { seq = event.seq; told.push({event}); });
  channel.join()
    .receive("ok", (r) => {
      log = r.log; seq = Number(r.cursor.split("-")[1]); told.push({joined: r});
    })
    .receive("error", (r) => told.push({refused: r}));
  window.leave = () => new Promise((done) => channel.leave().receive("ok", () => done(true)));
}
"""


@in_chromium
@pytest.mark.parametrize("version", ["1.7", "1.8"])
def test_in_chromium_through_a_crash(version: str, tmp_path: Path) -> None:
    """In a real browser: join, previews, SIGKILL in mid-task, restart, one end, leave."""
    from playwright.sync_api import sync_playwright

    script = HERE / f"node_modules/phoenix-{version}/priv/static/phoenix.min.js"
    with (
        server_process(tmp_path / "data", local_pace_seconds=0.05) as server,
        sync_playwright() as p,
    ):
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        page.goto(server.url + "/healthz")
        page.add_script_tag(path=script)
        join = {"create": PAINT | {"params": SMALL | {"steps": 20}}, "previews": "binary"}
        page.evaluate(PAGE, [server.url, "task:c1", join])
        _until(page, "told.filter(t => t.event?.type === 'progress').length >= 2")
        server.kill()
        server.start()
        _until(page, "told.some(t => t.event?.type === 'completed')")
        told = page.evaluate("told")
        assert page.evaluate("leave()") is True
        browser.close()
    events = [t["event"] for t in told if "event" in t]
    joins = [t["joined"] for t in told if "joined" in t]
    seqs = [e["seq"] for e in events]
    assert seqs == list(range(joins[0]["seq"] + 1, seqs[-1] + 1))
    assert [e["type"] for e in events if e["status"] in ("completed", "failed")] == ["completed"]
    assert any("preview" in t for t in told)


def _until(page: Any, condition: str) -> None:
    page.wait_for_function(condition, timeout=PATIENCE * 1000)
