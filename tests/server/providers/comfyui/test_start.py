"""Starts: under an id of ours, on a socket that listens already, and never twice."""

from __future__ import annotations

import asyncio
import re
import socket
from typing import Any

import pytest

from safelight.providers.base import Again, Done, Failure, Gone, Moved, Never, Unclear
from safelight.providers.comfyui import Comfy, ComfyBackend
from safelight.providers.comfyui.provider import prompt_id_of
from safelight.settings import BackendSettings
from tests.doubles.comfy import PAGE, Answer, ComfyDouble
from tests.doubles.comfy_rig import FILE, GRAPH, PATIENCE, QUICK, Rig, end, rigged


async def refused(rig: Rig, asked: Any = None) -> Any:
    """The outcome of a start that fails."""
    with pytest.raises(Failure) as failure:
        await asyncio.wait_for(rig.provider.start(asked or rig.prediction()), PATIENCE)
    return failure.value.outcome


async def test_the_id_is_made_of_the_attempt(rig: Rig) -> None:
    """The handle is a lower-case UUID: the same for an attempt, another for the next."""
    one, two = rig.prediction(), rig.prediction(attempt=2)
    assert re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", prompt_id_of(one))
    assert prompt_id_of(one) == prompt_id_of(rig.prediction()) != prompt_id_of(two)
    handle = await rig.provider.start(one)
    assert handle == prompt_id_of(one) == rig.double.posted[0]["prompt_id"]


async def test_the_socket_listens_before_the_prompt_is_posted(rig: Rig) -> None:
    """The flags are the first frame, and come before the POST, which names that socket."""
    await rig.provider.start(rig.prediction())
    order = [asked.path for asked in rig.double.asked]
    assert order.index("/ws") < order.index("/prompt")
    line = rig.double.sockets[0]
    assert line.frames[0]["type"] == "feature_flags"
    assert line.frames[0]["data"] == {"supports_preview_metadata": True}
    assert line.asked.query == f"clientId={rig.double.posted[0]['client_id']}"


async def test_a_whole_graph_is_sent_as_it_is(rig: Rig) -> None:
    """Prompts and seeds stay; only the files are named after the prompt, so that an equal
    graph is not answered with somebody's old ones."""
    handle = await rig.provider.start(rig.prediction())
    sent = rig.double.posted[0]["prompt"]
    assert sent["9"]["inputs"]["filename_prefix"] == f"x_{handle}"
    assert {node: sent[node] for node in ("1", "3")} == {n: GRAPH[n] for n in ("1", "3")}
    assert GRAPH["9"]["inputs"]["filename_prefix"] == "x"


async def test_a_seed_of_any_size_arrives_whole(rig: Rig) -> None:
    """2**64-1 is sent as that number, into the seed input of the template."""
    inputs = {"input": {"required": {"ckpt_name": [["a"], {}]}}}
    rig.double.object_info["CheckpointLoaderSimple"] = inputs
    await rig.provider.start(rig.prediction(model="comfyui/txt2img", params={}, seed=2**64 - 1))
    assert rig.double.posted[0]["prompt"]["3"]["inputs"]["seed"] == 2**64 - 1


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"model": "comfyui/none", "params": {}}, "no workflow for comfyui/none"),
        ({"model": "comfyui/animation", "params": {}, "n": 2}, "n: found 2"),
        ({"model": "comfyui/img2img", "params": {"checkpoint": "a"}}, "image: found nothing"),
        ({"params": {"workflow": {"nodes": [], "links": []}}}, "API format"),
        ({"model": "comfyui/txt2img", "params": {}}, "no checkpoint"),
    ],
)
async def test_what_makes_no_graph_is_refused(rig: Rig, fields: Any, said: str) -> None:
    """A request that was not checked before, since nobody answered, is refused at its start."""
    outcome = await refused(rig, rig.prediction(**fields))
    assert isinstance(outcome, Never) and said in outcome.message
    assert rig.double.posted == []


async def test_two_prompts_share_one_socket(rig: Rig) -> None:
    """The second prompt opens no second socket, and names the same client."""
    for uid in ("u1", "u2"):
        await rig.provider.start(rig.prediction(uid=uid))
    assert len(rig.double.sockets) == 1
    assert len({posted["client_id"] for posted in rig.double.posted}) == 1


async def test_two_processes_have_two_clients(double: ComfyDouble) -> None:
    """Each start of ours draws another client id."""
    async with rigged(double) as one, rigged(double) as two:
        assert one.backend.client_id != two.backend.client_id


async def test_news_before_the_answer_are_heard(double: ComfyDouble) -> None:
    """What the socket tells while the POST is still being answered is not lost."""
    async with rigged(double) as rig:
        asked = rig.prediction()
        double.faults["POST /prompt"].append("hang")
        starting = asyncio.create_task(rig.provider.start(asked))
        await double.until(lambda: double.posted)
        double.tell("executing", node="3", display_node="3", prompt_id=prompt_id_of(asked))
        await rig.backend_heard(2)
        job = rig.backend.router.find(prompt_id_of(asked))
        assert job is not None and job.course.node == "3"
        with pytest.raises(Failure):
            await starting


async def test_credentials_go_everywhere_and_no_origin_anywhere(double: ComfyDouble) -> None:
    """Token and headers are on every request and on the socket's handshake, under a prefix."""
    double.prefix = "/studio/comfy"
    settings: dict[str, Any] = {"token": "sesame", "headers": {"X-Team": "blue"}}
    async with rigged(double, path="/studio/comfy/", **settings) as rig:
        handle, following = await rig.start()
        double.begin(handle)
        double.finish(handle, {"9": FILE})
        assert isinstance(await end(following), Done)
    for asked in double.asked:
        assert asked.path.startswith("/studio/comfy/")
        assert asked.headers["authorization"] == "Bearer sesame"
        assert asked.headers["x-team"] == "blue"
        assert "origin" not in asked.headers
    assert {"/studio/comfy/ws", "/studio/comfy/prompt"} <= {asked.path for asked in double.asked}
    found = rig.heard.reports[-1]
    assert found.headers == {"X-Team": "blue", "Authorization": "Bearer sesame"}
    assert found.url.startswith(double.url + "/studio/comfy/view?filename=a.png")


@pytest.mark.parametrize("fault", ["drop", "hang"])
async def test_a_lost_answer_is_looked_up(rig: Rig, fault: str) -> None:
    """A start whose answer was lost is in doubt, is found by its id, and was posted once."""
    rig.double.faults["POST /prompt"].append(fault)
    asked = rig.prediction()
    assert isinstance(await refused(rig, asked), Unclear)
    found = await rig.provider.look_up(asked)
    assert found == prompt_id_of(asked)
    following = rig.follow(asked)
    rig.double.begin(found)
    rig.double.end(found, outputs={"9": FILE})
    assert isinstance(await end(following), Done)
    assert len(rig.double.posted) == 1


async def test_a_lost_request_is_gone(rig: Rig) -> None:
    """What never arrived is Gone, and only after it was looked for twice."""
    rig.double.faults["POST /prompt"].append("lose")
    asked = rig.prediction()
    assert isinstance(await refused(rig, asked), Unclear)
    looks = rig.double.count("GET", "/queue")
    assert isinstance(await rig.provider.look_up(asked), Gone)
    assert rig.double.count("GET", "/queue") - looks == 2


async def test_a_request_on_its_way_is_not_gone(double: ComfyDouble) -> None:
    """A prompt that arrives between the two looks is found."""
    arrived = asyncio.Event()

    async def sleep(seconds: float) -> None:
        if seconds == QUICK.settle:
            double.answer(asked_of(rig))
            arrived.set()
        else:
            await asyncio.sleep(0)

    settings = BackendSettings(url=double.url)
    backend = ComfyBackend("one", settings, timings=QUICK, sleep=sleep)
    async with (provider := Comfy({"one": backend})).open():
        rig = Rig(double, provider, backend)
        assert await provider.look_up(rig.prediction()) == prompt_id_of(rig.prediction())
    assert arrived.is_set()


def asked_of(rig: Rig) -> Any:
    """A POST of the rig's prompt, as it arrives late."""
    body = {"prompt": {}, "prompt_id": prompt_id_of(rig.prediction())}

    class Late:
        method, path, json = "POST", "/prompt", body

    return Late


async def test_a_look_up_that_is_not_answered_says_nothing(rig: Rig) -> None:
    """While the backend answers with errors, what became of a start is unclear."""
    rig.double.faults["GET /history"].append(Answer(500))
    assert isinstance(await rig.provider.look_up(rig.prediction()), Unclear)


async def test_a_second_start_of_an_attempt_looks_first(rig: Rig) -> None:
    """Starting an attempt again finds its prompt instead of posting another."""
    first = await rig.provider.start(rig.prediction())
    assert await rig.provider.start(rig.prediction()) == first
    assert len(rig.double.posted) == 1


@pytest.mark.parametrize("status", [500, 502, 504])
async def test_an_error_is_looked_into_before_it_is_tried_again(rig: Rig, status: int) -> None:
    """One 500 is no loss: nothing is there, so the attempt may be made again."""
    rig.double.faults["POST /prompt"].append(Answer(status))
    outcome = await refused(rig)
    assert isinstance(outcome, Again) and outcome.code == "provider_failed"
    assert str(status) in outcome.message
    assert rig.double.count("GET", "/queue") >= 1


async def test_an_error_may_hide_a_prompt(rig: Rig) -> None:
    """A gateway's error page for a prompt that arrived leads to that prompt."""
    late = Answer(504, b"<html>too slow</html>", "text/html", done=True)
    rig.double.faults["POST /prompt"].append(late)
    assert await rig.provider.start(rig.prediction()) == prompt_id_of(rig.prediction())


async def test_a_web_page_is_no_answer(rig: Rig) -> None:
    """A page with status 200 says nothing of the prompt, which is looked for."""
    rig.double.faults["POST /prompt"].append(PAGE)
    outcome = await refused(rig)
    assert isinstance(outcome, Again) and "web page" in outcome.message


async def test_nobody_there_is_told_at_once() -> None:
    """A refused connection is surely no start: it may be tried again, after a while."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
        backend = ComfyBackend("one", BackendSettings(url=url), timings=QUICK)
        async with (provider := Comfy({"one": backend})).open():
            outcome = await refused(Rig(ComfyDouble(), provider, backend))
    assert isinstance(outcome, Again)
    assert (outcome.code, outcome.after_seconds) == ("backend_unreachable", QUICK.unreachable)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (401, "provider_not_configured"),
        (403, "provider_not_configured"),
        (404, "provider_failed"),
        (302, "provider_failed"),
        (413, "too_large"),
    ],
)
async def test_a_refusal_is_for_good(rig: Rig, status: int, code: str) -> None:
    """What would be refused again is not tried again."""
    rig.double.faults["POST /prompt"].append(Answer(status))
    outcome = await refused(rig)
    assert isinstance(outcome, Never) and outcome.code == code


async def test_half_a_prompt_is_stopped(rig: Rig) -> None:
    """A 200 with node errors is taken out and interrupted, and names node and input."""
    rig.double.node_errors = {
        "20": {
            "class_type": "LoadImage",
            "dependent_outputs": ["21"],
            "errors": [
                {
                    "type": "custom_validation_failed",
                    "message": "Custom validation failed for node",
                    "details": "image - Invalid image file: missing.png",
                    "extra_info": {"input_name": "image"},
                }
            ],
        }
    }
    outcome = await refused(rig)
    assert outcome == Never(
        "invalid", "node 20 (LoadImage): image - Invalid image file: missing.png"
    )
    assert rig.double.pending == []
    stopped = [a.json for a in rig.double.asked if a.path in ("/queue", "/interrupt") and a.body]
    id = prompt_id_of(rig.prediction())
    assert stopped == [{"delete": [id]}, {"prompt_id": id}]


async def test_a_server_that_names_prompts_itself_is_followed_by_its_name(rig: Rig) -> None:
    """A very old server takes no ids; its own is the handle, and its news are heard."""
    rig.double.answer_id = "its-own"
    handle, following = await rig.start()
    assert handle == "its-own"
    job = rig.backend.router.find(handle)
    assert job is not None and job.life is not None and job.course.graph
    rig.double.begin(handle)
    rig.double.tell("executing", node="3", prompt_id=handle)
    await rig.heard.until(lambda: rig.heard.of(Moved))
    rig.double.finish(handle, {"9": FILE})
    assert isinstance(await end(following), Done)


async def test_without_a_socket_it_runs_all_the_same(double: ComfyDouble) -> None:
    """Where sockets are refused the end is learnt from the history."""
    double.refuse_sockets = True
    async with rigged(double) as rig:
        handle, following = await rig.start()
        double.begin(handle)
        double.end(handle, outputs={"9": FILE})
        assert isinstance(await end(following), Done)


async def test_another_address_is_not_asked(rig: Rig) -> None:
    """What was claimed to run elsewhere is in doubt, whatever is asked; so is what ran on a
    backend that is no longer there."""
    for asked in (rig.prediction(place="http://127.0.0.1:1"), rig.prediction(backend="two")):
        assert isinstance(await refused(rig, asked), Unclear)
        assert isinstance(await rig.provider.look_up(asked), Unclear)
        assert isinstance(await end(rig.follow(asked)), Unclear)
        await rig.provider.cancel(asked, "x")
    assert rig.double.asked == []


async def test_a_start_that_is_called_off_listens_no_more(rig: Rig) -> None:
    """Cancelled in the middle of the POST, it leaves no mailbox behind."""
    rig.double.faults["POST /prompt"].append("hang")
    starting = asyncio.create_task(rig.provider.start(rig.prediction()))
    await rig.double.until(lambda: rig.double.posted)
    starting.cancel()
    await asyncio.gather(starting, return_exceptions=True)
    assert rig.backend.router.jobs == []
