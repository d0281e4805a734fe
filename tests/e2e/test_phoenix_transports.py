"""phoenix.js, unmodified, on every way in and out: long-poll, fallback, closes, tokens, origins.

1.7's long-poll does not work in Node (it needs XMLHttpRequest), so it is driven in
Chromium only.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio.to_thread
import pytest

from tests.doubles.phoenix_end import phoenix_end
from tests.doubles.process import ServerProcess, server_process
from tests.e2e.chromium import FLAGS
from tests.e2e.node_process import HERE, PATIENCE, Node
from tests.e2e.phoenix_node import node_client

PAINT = {"kind": "image", "prompt": "a lighthouse at dusk", "model": "local/paint"}
SMALL = {"width": 256, "height": 256, "steps": 20}
JOIN = {"create": PAINT | {"params": SMALL}, "previews": "binary"}

in_node = pytest.mark.needs("node", "npm packages")
in_chromium = pytest.mark.needs("chromium", "npm packages")


def assert_every_seq_once(told: list[dict[str, Any]]) -> None:
    """From the first join on, in order, to exactly one end; no rejoin had a gap."""
    joins = [t["joined"] for t in told if "joined" in t]
    events = [t["event"] for t in told if "event" in t]
    seqs = [e["seq"] for e in events]
    assert seqs == list(range(joins[0]["seq"] + 1, seqs[-1] + 1))
    ends = [e["type"] for e in events if e["type"] in ("completed", "failed", "canceled")]
    assert ends == ["completed"]
    assert not any(join["gap"] for join in joins)


@in_node
def test_long_poll_from_join_to_leave(tmp_path: Path) -> None:
    """1.8 in Node joins, creates, is told previews by address and every event, pushes and
    leaves, all by requests."""
    with server_process(tmp_path / "data", local_pace_seconds=0.02) as server:
        with node_client(server.url, "1.8", "task:l1", JOIN, poll=True) as node:
            joined = node.until(lambda t: "joined" in t)
            node.until_event("completed")
            node.do(push=["ping", {"a": 1}])
            assert node.until(lambda t: "ok" in t)["ok"] == {"a": 1}
            node.do(leave=True)
            node.until(lambda t: t.get("left") is True)
    assert joined["via"] == "longpoll"
    assert_every_seq_once(node.told)
    assert any("ready" in t for t in node.told)
    assert not any("preview" in t for t in node.told)


@in_node
def test_long_poll_through_a_crash(tmp_path: Path) -> None:
    """SIGKILL in mid-task: the session is gone with its server; the client rejoins with its
    cursor."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        with node_client(server.url, "1.8", "task:l2", JOIN, poll=True) as node:
            node.until_event("progress")
            server.kill()
            node.until(lambda t: "closed" in t)
            server.start()
            node.until_event("completed")
    assert_every_seq_once(node.told)
    assert len([t for t in node.told if "joined" in t]) >= 2


@in_node
def test_the_fallback_after_a_restart(tmp_path: Path) -> None:
    """With `longPollFallbackMs` the first refused reconnect makes phoenix.js poll for good:
    it is joined again that way, and the task comes to its end."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        with node_client(server.url, "1.8", "task:f1", JOIN, longPollFallbackMs=2500) as node:
            first = node.until(lambda t: "joined" in t)
            node.until_event("progress")
            assert server.stop() == 0
            node.until(lambda t: t.get("failed") is True)
            server.start()
            again = node.until(lambda t: "joined" in t)
            node.until_event("completed")
    assert (first["via"], again["via"]) == ("websocket", "longpoll")
    assert_every_seq_once(node.told)


@in_node
@pytest.mark.parametrize(("version", "code"), [("1.7", 1012), ("1.8", 1012), ("1.8", 1000)])
async def test_clients_come_back_after(version: str, code: int) -> None:
    """After 1012 all versions reconnect and rejoin; after 1000 only 1.8.16 and later do."""
    async with phoenix_end() as end:
        with node_client(end.url, version, "task:c1", {}) as node:
            line = await end.line()
            await line.accept({"log": "0", "cursor": "0-0"})
            await heard(node, lambda t: "joined" in t)
            await line.hang_up(code)
            await (await end.line()).accept({"log": "0", "cursor": "0-0"})
            await heard(node, lambda t: "joined" in t)
    assert [t["closed"] for t in node.told if "closed" in t] == [code]


@in_node
async def test_after_1000_clients_before_1_8_16_stay_away() -> None:
    """Why no close of ours is 1000: phoenix.js 1.7 does not even plan to come back."""
    async with phoenix_end() as end:
        with node_client(end.url, "1.7", "task:c1", {}) as node:
            line = await end.line()
            await line.accept({"log": "0", "cursor": "0-0"})
            await heard(node, lambda t: "joined" in t)
            await line.hang_up(1000)
            await heard(node, lambda t: "closed" in t)
            node.do(state=True)
            state = await heard(node, lambda t: "state" in t)
    assert state == {"state": "errored", "connected": False, "retries": False}
    assert end.handshakes == 1


async def heard(node: Node, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """`until`, with the loop left free for the server's end."""
    return await anyio.to_thread.run_sync(node.until, wanted)


@in_node
@pytest.mark.parametrize("poll", [False, True])
def test_an_auth_token(poll: bool, tmp_path: Path) -> None:
    """`authToken` travels beside the address on both transports; a wrong one is refused,
    and a client that polls is told so and stops."""
    with server_process(tmp_path / "data", tokens="ann:right.a-b_c") as server:
        with node_client(server.url, "1.8", "task:a1", JOIN, authToken="wrong", poll=poll) as node:
            node.until(lambda t: t.get("failed") is True)
            closed = node.until(lambda t: "closed" in t)["closed"]
            assert closed == (1008 if poll else 1006)
            node.do(state=True)
            assert node.until(lambda t: "state" in t)["connected"] is False
            assert not any("open" in t for t in node.told)
        right = {"authToken": "right.a-b_c", "poll": poll}
        with node_client(server.url, "1.8", "task:a1", JOIN, **right) as node:
            assert node.until(lambda t: "joined" in t)["joined"]["created"] is True


@in_node
def test_a_token_in_the_parameters_of_a_poll(tmp_path: Path) -> None:
    """`params: {token}` and the session's own token share a name; both are understood."""
    with server_process(tmp_path / "data", tokens="ann:secret") as server:
        options = {"params": {"token": "secret"}, "poll": True}
        with node_client(server.url, "1.8", "task:a2", JOIN, **options) as node:
            node.until_event("completed")
    assert_every_seq_once(node.told)


@in_node
@pytest.mark.parametrize("version", ["1.7", "1.8"])
def test_heartbeats(version: str, tmp_path: Path) -> None:
    """Each is answered, and the connection stays the one it was."""
    with server_process(tmp_path / "data") as server:
        with node_client(server.url, version, "task:h", {}) as node:
            node.until(lambda t: "open" in t)
            for _ in range(5):
                node.do(beat=True)
                assert node.until(lambda t: "beat" in t)["beat"] == "ok"
    assert len([t for t in node.told if "open" in t]) == 1
    assert not any("closed" in t for t in node.told)


@in_node
@pytest.mark.parametrize("version", ["1.7", "1.8"])
def test_two_channels_of_one_topic(version: str, tmp_path: Path) -> None:
    """The second join closes the first channel and is told everything after its cursor,
    once, to one end. Only what comes before its reply is still the first one's."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        with node_client(server.url, version, "task:d1", JOIN, twice=True) as node:
            node.until_event("completed")
    told = [t for t in node.told if "joined" in t or "channelClosed" in t]
    assert [t.get("name") or f"closed {t['channelClosed']}" for t in told] == [1, "closed 1", 2]
    assert_every_seq_once(node.told[node.told.index(told[-1]) :])


PAGE = """
([server, topic, join, options]) => {
  const told = (window.told = []);
  const {poll, ...rest} = options;
  if (poll) rest.transport = Phoenix.LongPoll;
  const socket = new Phoenix.Socket(server.replace("http", "ws") + "/socket", rest);
  socket.onClose((event) => told.push({closed: event.code}));
  socket.onError(() => told.push({failed: true}));
  socket.connect();
  let log = null, seq = 0;
  const channel = socket.channel(topic, () => log === null ? join : {after: `${log}-${seq}`});
  channel.on("progress", (event) => { seq = event.seq; told.push({event}); });
  channel.join().receive("ok", (r) => {
    const via = socket.conn instanceof Phoenix.LongPoll ? "longpoll" : "websocket";
    log = r.log; seq = Number(r.cursor.split("-")[1]); told.push({joined: r, via});
  });
}
"""


@contextmanager
def page_at(url: str, version: str) -> Iterator[Any]:
    """A page of that origin in Chromium, with phoenix.js in it."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page()
        page.goto(url + "/healthz")
        page.add_script_tag(
            path=HERE / f"node_modules/phoenix-{version}/priv/static/phoenix.min.js"
        )
        try:
            yield page
        finally:
            browser.close()


def told_until(page: Any, condition: str) -> list[dict[str, Any]]:
    """What the page was told, once something of it is as wanted."""
    script = f"told.some((t) => {condition})"
    page.wait_for_function(script, timeout=PATIENCE * 1000)
    told: list[dict[str, Any]] = page.evaluate("told")
    return told


@in_chromium
@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.7", "1.8"])
def test_long_poll_in_chromium_through_a_crash(version: str, tmp_path: Path) -> None:
    """In a real browser, by requests only: SIGKILL in mid-task, restart, every seq once."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        with page_at(server.url, version) as page:
            page.evaluate(PAGE, [server.url, "task:l3", JOIN, {"poll": True}])
            told_until(page, "t.event?.type === 'progress'")
            server.kill()
            server.start()
            told = told_until(page, "t.event?.type === 'completed'")
    assert_every_seq_once(told)
    assert {t["via"] for t in told if "joined" in t} == {"longpoll"}


@in_chromium
@pytest.mark.slow
@pytest.mark.parametrize("version", ["1.8"])
def test_the_fallback_in_chromium(version: str, tmp_path: Path) -> None:
    """The same fallback in a browser, where it is remembered for the page's session."""
    with server_process(tmp_path / "data", local_pace_seconds=0.05) as server:
        with page_at(server.url, version) as page:
            page.evaluate(PAGE, [server.url, "task:f2", JOIN, {"longPollFallbackMs": 2500}])
            told_until(page, "t.event?.type === 'progress'")
            assert server.stop() == 0
            told_until(page, "t.failed")
            server.start()
            told = told_until(page, "t.event?.type === 'completed'")
    assert_every_seq_once(told)
    assert [t["via"] for t in told if "joined" in t][-1] == "longpoll"


@in_chromium
@pytest.mark.slow
@pytest.mark.parametrize("poll", [False, True])
def test_pages_of_other_origins(poll: bool, tmp_path: Path) -> None:
    """A page of another server is refused, and joins once its origin is allowed; one that
    polls can read the refusal and stops."""
    with server_process(tmp_path / "other", scripted=True) as other:
        asked = [f"task:o{poll}", JOIN, {"poll": poll}]
        with server_process(tmp_path / "shut") as server:
            assert_refused(other, server, asked, 1008 if poll else 1006)
        allowed = {"allowed_origins": other.url}
        with server_process(tmp_path / "open", **allowed) as server:
            with page_at(other.url, "1.8") as page:
                page.evaluate(PAGE, [server.url, *asked])
                told = told_until(page, "t.event?.type === 'completed'")
    assert_every_seq_once(told)


def assert_refused(
    other: ServerProcess, server: ServerProcess, asked: list[Any], code: int
) -> None:
    with page_at(other.url, "1.8") as page:
        page.evaluate(PAGE, [server.url, *asked])
        told = told_until(page, "'closed' in t")
    assert next(t["closed"] for t in told if "closed" in t) == code
    assert not any("joined" in t for t in told)
