"""Faults on request: each does what docs/kerniegen.md says, at its point, and only then."""

from __future__ import annotations

import struct
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.doubles.kernie import Kernie, kerniegen
from tests.doubles.process import ServerFailed
from tests.kerniegen.asker import Asker, asker
from tests.kerniegen.graphs import node, steps, txt2img


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernie]:
    """The server of this file; it is started again by whoever ended it."""
    with kerniegen(tmp_path_factory.mktemp("faults") / "kernie") as one:
        yield one


@pytest.fixture
def kernie(server: Kernie) -> Kernie:
    """The server, with nothing armed and nothing cached."""
    server.disarm()
    httpx2.post(server.url + "/free", json={"free_memory": True})
    return server


@pytest.fixture
def client(kernie: Kernie) -> Iterator[Asker]:
    """A client of it."""
    with asker(kernie.url) as one:
        yield one


def failure(past: dict[str, Any]) -> dict[str, Any]:
    """The data of the message that ended a prompt."""
    kind, data = past["status"]["messages"][-1]
    assert kind == "execution_error"
    return dict(data)


def test_a_failure_is_the_samplers(client: Asker) -> None:
    """`fail` raises in the sampler, and the next prompt runs."""
    told = failure(client.run(txt2img(), fault="fail"))
    assert (told["node_id"], told["exception_type"]) == ("3", "RuntimeError")
    assert client.run(txt2img())["status"]["completed"]


def test_a_failure_comes_at_the_node_that_is_named(client: Asker) -> None:
    """`fail=VAEDecode` and `fail=8` raise there."""
    for named in ("VAEDecode", "8"):
        told = failure(client.run(txt2img(seed=len(named)), fault=f"fail={named}"))
        assert (told["node_id"], told["node_type"]) == ("8", "VAEDecode")


def test_out_of_memory_looks_like_the_real_one(client: Asker) -> None:
    """`oom` has the exception type and the words that clients know."""
    told = failure(client.run(txt2img(), fault="oom"))
    assert told["exception_type"] == "torch.OutOfMemoryError"
    assert "ran out of memory on your GPU" in told["exception_message"]


def test_a_fault_may_be_part_of_the_graph(client: Asker) -> None:
    """A KernieFault node fails its own prompt, without any header."""
    graph = steps()
    graph["2"] = node("KernieFault", image=["1", 0], fault="oom", value=0, seed=1)
    assert failure(client.run(graph))["node_type"] == "KernieFault"


def test_an_armed_fault_strikes_at_its_turn(kernie: Kernie, client: Asker) -> None:
    """`fail@2` hits the second prompt after it was armed, and no other."""
    kernie.arm("fail@2")
    outcomes = [client.run(txt2img(seed=seed))["status"]["completed"] for seed in (1, 2, 3)]
    assert outcomes == [True, False, True]


def test_a_500_comes_once_and_runs_nothing(kernie: Kernie, client: Asker) -> None:
    """`http-500@1` refuses one submission in the real one's words; the next is taken."""
    before = kernie.runs().total()
    kernie.arm("http-500@1")
    answer = client.http.post("/prompt", json={"prompt": txt2img()})
    assert (answer.status_code, answer.text.split("\n")[0]) == (500, "500 Internal Server Error")
    client.run(txt2img())
    assert kernie.runs().total() == before + 1


def test_a_lost_answer_runs_all_the_same(kernie: Kernie, client: Asker) -> None:
    """`lost-answer` takes the prompt, runs it and closes without a word."""
    prompt_id = "6f9a2c9e-7f0b-4a55-8d7c-111111111111"
    body = {"prompt": txt2img(), "prompt_id": prompt_id, "client_id": client.client_id}
    with pytest.raises(httpx2.TransportError):
        client.http.post("/prompt", json=body, headers={"x-kernie-fault": "lost-answer"})
    assert client.hear_end(prompt_id)["status"]["completed"]
    assert kernie.runs()[prompt_id] == 1


def test_a_lost_request_runs_nothing(kernie: Kernie, client: Asker) -> None:
    """`lost-request` closes as well, and nothing was taken."""
    before = kernie.runs().total()
    kernie.arm("lost-request@1")
    with pytest.raises(httpx2.TransportError):
        client.http.post("/prompt", json={"prompt": txt2img()})
    client.run(txt2img())
    assert kernie.runs().total() == before + 1


def test_a_dropped_socket_leaves_the_prompt_running(kernie: Kernie, client: Asker) -> None:
    """`drop-socket` ends the socket with 1006 in the middle; history has the prompt later."""
    prompt_id = client.submit(steps(count=8, delay_ms=40), fault="drop-socket")
    assert client.lost() == 1006
    with asker(kernie.url, client_id=client.client_id) as again:
        again.hear_end(prompt_id)
        assert again.past(prompt_id)["status"]["completed"]


@pytest.mark.parametrize(
    ("point", "heard", "not_heard"),
    [
        ("start", "execution_cached", "executing"),
        ("sampling", "progress", "executed"),
        ("end", "execution_success", "nothing"),
    ],
)
def test_a_restart_forgets_queue_and_history(
    kernie: Kernie, client: Asker, point: str, heard: str, not_heard: str
) -> None:
    """`restart` ends sockets with 1006 and comes back on the same port, knowing nothing."""
    waiting = steps(count=5, delay_ms=40, seed=2)
    first = str(uuid.uuid4())
    kernie.arm(f"restart={point}@1")
    with suppress(httpx2.TransportError):  # it may be gone before it has answered
        client.submit(steps(count=5, delay_ms=40), prompt_id=first)
        client.submit(waiting)
    assert client.lost() == 1006
    types = {message["type"] for message in client.heard}
    assert heard in types and not_heard not in types
    kernie.wait_back()
    with asker(kernie.url) as again:
        assert again.http.get("/queue").json() == {"queue_running": [], "queue_pending": []}
        assert again.http.get("/history").json() == {}
        assert again.run(waiting)["prompt"][0] == 0
    assert kernie.runs()[first] == 1


@pytest.mark.slow
def test_a_restart_of_the_command_line_comes_once(tmp_path: Path) -> None:
    """`--fault restart` restarts at the first prompt and not again in the new process."""
    with kerniegen(tmp_path / "kernie", fault=["restart"]) as kernie:
        with asker(kernie.url) as client:
            client.submit(steps())
            assert client.lost() == 1006
        kernie.wait_back()
        with asker(kernie.url) as client:
            assert client.run(steps())["status"]["completed"]


@pytest.mark.slow
def test_a_death_is_final_until_it_is_started_again(kernie: Kernie, client: Asker) -> None:
    """`die` ends the process; a start brings it back on its port."""
    client.submit(steps(), fault="die")
    assert client.lost() == 1006
    kernie.close()
    kernie.start()
    assert httpx2.get(kernie.url + "/history").json() == {}


def test_a_hanging_node_cannot_be_interrupted(client: Asker) -> None:
    """`hang` tells nothing for its time, whatever is asked meanwhile; then the interrupt counts."""
    prompt_id = client.submit(steps(), fault="hang=0.3")
    client.hear(lambda message: message["data"].get("node") == "2")
    client.http.post("/interrupt", json={"prompt_id": prompt_id})
    assert client.hear_end(prompt_id)["status"]["messages"][-1][0] == "execution_interrupted"


def test_a_slow_prompt_takes_longer_at_every_step(client: Asker) -> None:
    """`slow` adds its time to each step."""
    data = client.run(steps(count=3), fault="slow=0.1")["status"]["messages"]
    assert data[-1][1]["timestamp"] - data[0][1]["timestamp"] >= 300


def test_history_may_come_late(client: Asker) -> None:
    """`late-history` leaves a gap between execution_success and history, as a race does."""
    prompt_id = client.submit(steps(), fault="late-history=0.3")
    client.hear_type("execution_success")
    assert client.http.get(f"/history/{prompt_id}").json() == {}
    assert client.hear_end(prompt_id)["status"]["completed"]


def test_events_may_come_before_the_answer(kernie: Kernie) -> None:
    """`late-answer` answers a submission after its prompt was told to be over."""
    with asker(kernie.url) as client:
        body = {"prompt": steps(), "client_id": client.client_id}
        headers = {"x-kernie-fault": "late-answer=3"}
        with ThreadPoolExecutor() as pool:
            answer = pool.submit(httpx2.post, kernie.url + "/prompt", json=body, headers=headers)
            client.hear_type("execution_success")
            assert not answer.done()
            assert answer.result().status_code == 200


def test_a_stalled_server_answers_nobody_and_lives_on(kernie: Kernie, client: Asker) -> None:
    """`stall` keeps HTTP silent for its time; the prompt is done all the same."""
    prompt_id = client.submit(steps(), fault="stall=4")
    client.hear(lambda message: message["data"].get("node") == "2")
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(kernie.url + "/queue", timeout=1.0)
    assert client.hear_end(prompt_id)["status"]["completed"]


def test_a_hanging_request_is_never_answered(kernie: Kernie) -> None:
    """`hang-http` takes the request and keeps silent; other requests are answered. The log has
    it from its beginning on."""
    kernie.arm("hang-http=queue@1")
    before = kernie.begun("/queue")
    with pytest.raises(httpx2.ReadTimeout):
        httpx2.get(kernie.url + "/queue", timeout=2.0)
    assert kernie.begun("/queue") == before + 1
    assert httpx2.get(kernie.url + "/queue").status_code == 200


def test_a_page_comes_instead_of_a_picture(kernie: Kernie, client: Asker) -> None:
    """`html` answers a download with somebody's login page, and 200."""
    past = client.run(steps())
    kernie.arm("html@1")
    page, picture = client.files(past)[0], client.files(past)[0]
    assert page.startswith(b"<!doctype html>") and picture.startswith(b"\x89PNG")


def test_a_file_may_be_gone(kernie: Kernie, client: Asker) -> None:
    """`gone` answers a download with 404."""
    file = client.run(steps())["outputs"]["9"]["images"][0]
    kernie.arm("gone@1")
    assert client.http.get("/view", params=file).status_code == 404
    assert client.http.get("/view", params=file).status_code == 200


def test_a_download_may_break_off(kernie: Kernie, client: Asker) -> None:
    """`truncated` sends half of what it declared."""
    file = client.run(steps())["outputs"]["9"]["images"][0]
    kernie.arm("truncated@1")
    with pytest.raises(httpx2.TransportError):
        client.http.get("/view", params=file)


def test_a_huge_output_is_declared_and_sent(kernie: Kernie, client: Asker) -> None:
    """`huge` declares its megabytes, begins like a PNG and goes on as long as one reads."""
    file = client.run(steps())["outputs"]["9"]["images"][0]
    kernie.arm("huge=300@1")
    with client.http.stream("GET", "/view", params=file) as answer:
        assert answer.headers["content-length"] == str(300 * 1024 * 1024)
        part = next(answer.iter_bytes(4096))
    assert part.startswith(b"\x89PNG")


def test_the_client_id_bug_can_be_switched_off(tmp_path: Path) -> None:
    """With `--client-id-bug off` the newer socket goes on hearing when the older one closes."""
    with kerniegen(tmp_path / "kernie", client_id_bug="off") as kernie:
        with asker(kernie.url) as older:
            with asker(kernie.url, client_id=older.client_id) as newer:
                newer.hear_type("status")
                older.socket.close()
                assert newer.run(steps())["status"]["completed"]


@pytest.mark.parametrize("written", ["nonsense", "slow=long", "restart=soon", "fail@x"])
def test_a_wrong_fault_is_named_at_start(tmp_path: Path, written: str) -> None:
    """What cannot be read ends the command with a line that says so."""
    server = Kernie(tmp_path / "kernie", fault=[written])
    with pytest.raises(ServerFailed, match=written.partition("=")[0].partition("@")[0]):
        server.start()


def test_runs_are_counted_by_prompt(kernie: Kernie, client: Asker) -> None:
    """A prompt submitted twice under one id has run twice, by the server's own word and its log."""
    prompt_id = "6f9a2c9e-7f0b-4a55-8d7c-222222222222"
    for _ in range(2):
        client.run(steps(), prompt_id=prompt_id)
    assert client.http.get("/kerniegen/runs").json()[prompt_id] == 2
    assert kernie.runs()[prompt_id] == 2 and kernie.submitted().count(prompt_id) == 2


def test_a_text_frame_names_its_node(client: Asker) -> None:
    """Event 3 carries the length of the node's id, the id and the text."""
    graph = steps()
    graph["2"] = node("LabText", image=["1", 0], text="hé")
    client.run(graph)
    assert client.binary == [struct.pack(">II", 3, 1) + b"2" + "hé".encode()]
