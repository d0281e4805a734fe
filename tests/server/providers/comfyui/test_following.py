"""Following: what the socket tells is decoration, the history is the truth."""

from __future__ import annotations

import asyncio

from safelight.providers.base import Again, Done, Ended, Found, Gone, Made, Moved, Never, Shown
from safelight.providers.comfyui.provider import prompt_id_of
from tests.doubles.comfy import PAGE, Answer, ComfyDouble
from tests.doubles.comfy_rig import FILE, GRAPH, QUICK, Rig, end, rigged, turned
from tests.doubles.comfy_wire import JPEG, PNG, legacy, preview


async def running(rig: Rig, **fields: object) -> tuple[str, asyncio.Task[object]]:
    """A prompt that runs, at its sampler."""
    handle, following = await rig.start(rig.prediction(**fields))
    rig.double.begin(handle)
    rig.double.tell("execution_start", prompt_id=handle)
    rig.double.tell("executing", node="3", prompt_id=handle)
    await rig.heard.until(lambda: rig.heard.of(Moved))
    return handle, following


async def test_the_history_may_lag_behind_the_end(rig: Rig) -> None:
    """Said to be over and not in the history yet, it is asked for again and found."""
    handle, following = await running(rig)
    rig.double.tell("execution_success", prompt_id=handle)
    rig.double.tell("executing", node=None, prompt_id=handle)
    asked = rig.double.count("GET", "/history")
    await rig.double.until(lambda: rig.double.count("GET", "/history") >= asked + 2)
    rig.double.end(handle, outputs={"9": FILE})
    assert isinstance(await end(following), Done)


async def test_an_end_that_is_never_told_is_found(double: ComfyDouble) -> None:
    """A socket that is open and silent keeps nothing waiting: the prompt is looked up."""
    async with rigged(double, timings=_with(silence=0.02)) as rig:
        handle, following = await running(rig)
        double.end(handle, outputs={"9": FILE})
        assert isinstance(await end(following), Done)


async def test_success_without_the_last_word_is_looked_into(rig: Rig) -> None:
    """After `execution_success` nothing more is waited for long."""
    handle, following = await running(rig)
    rig.double.end(handle, outputs={"9": FILE})
    rig.double.tell("execution_success", prompt_id=handle)
    assert isinstance(await end(following), Done)


async def test_a_lost_socket_comes_back_with_its_flags(rig: Rig) -> None:
    """The next socket has the same client id and sends its flags first; the follow goes on."""
    handle, following = await running(rig)
    rig.double.sockets[0].drop()
    await rig.double.until(lambda: len(rig.double.sockets) == 2 and rig.double.sockets[1].frames)
    first, second = rig.double.sockets
    assert second.asked.query == first.asked.query
    assert second.frames[0]["type"] == "feature_flags"
    rig.double.tell("progress", value=3, max=4, node="3", prompt_id=handle)
    await rig.heard.until(lambda: rig.heard.of(Moved)[-1].step == 3)
    rig.double.finish(handle, {"9": FILE})
    assert isinstance(await end(following), Done)


async def test_what_ended_while_the_socket_was_away_is_found(rig: Rig) -> None:
    """A reconnect looks at once, since nothing that was missed is told again."""
    handle, following = await running(rig)
    rig.double.end(handle, outputs={"9": FILE})
    rig.double.sockets[0].drop()
    assert isinstance(await end(following), Done)


async def test_a_deaf_socket_is_closed_before_the_next_opens(double: ComfyDouble) -> None:
    """A prompt that runs and is never told of makes the socket suspect; the old one is closed
    before the new one opens."""
    async with rigged(double, timings=_with(silence=0.02, deaf=0.05)) as rig:
        handle, following = await running(rig)
        await double.until(lambda: len(double.sockets) >= 2)
        assert double.sockets[0].closed_at < double.sockets[1].opened_at
        double.finish(handle, {"9": FILE})
        assert isinstance(await end(following), Done)


async def test_a_prompt_that_waits_makes_no_socket_suspect(double: ComfyDouble) -> None:
    """Of what waits nothing is told, and that is as it should be."""
    async with rigged(double, timings=_with(silence=0.01, deaf=0.01)) as rig:
        handle, following = await rig.start()
        asked = double.count("GET", "/queue")
        await double.until(lambda: double.count("GET", "/queue") >= asked + 6)
        assert len(double.sockets) == 1
        double.begin(handle)
        double.finish(handle, {"9": FILE})
        assert isinstance(await end(following), Done)


async def test_its_place_in_the_queue_is_told(double: ComfyDouble) -> None:
    """Those who run, and those with smaller numbers, are ahead; the queue is a heap."""
    async with rigged(double, timings=_with(silence=0.02)) as rig:
        double.pending = [_stranger("b", -1), _stranger("c", 99)]
        double.running = [_stranger("a", -2)]
        _, following = await rig.start()
        await rig.heard.until(lambda: rig.heard.of(Moved))
        assert rig.heard.of(Moved)[0].message == "waits at the backend, 2 ahead"
        following.cancel()


async def test_strangers_are_not_heard(rig: Rig) -> None:
    """Progress and pictures of other prompts, which are sent to all, change nothing here."""
    handle, following = await running(rig)
    told = len(rig.heard.reports)
    rig.double.tell("progress", value=4, max=4, node="3", prompt_id="stranger")
    line = rig.double.sockets[0]
    line.binary(legacy(JPEG))
    line.binary(preview(JPEG, "stranger", "3"))
    await rig.digest()
    assert len(rig.heard.reports) == told
    rig.double.tell("progress", value=1, max=4, node="3", prompt_id=handle)
    line.binary(legacy(JPEG))
    await rig.heard.until(lambda: rig.heard.of(Shown))
    rig.double.finish(handle, {"9": FILE})
    assert isinstance(await end(following), Done)


async def test_no_frame_ends_the_socket(rig: Rig) -> None:
    """Unknown messages, broken JSON, short, foreign and boundless frames are survived."""
    handle, following = await running(rig)
    line = rig.double.sockets[0]
    for text in ("", "{", "[]", "null", '{"type":"crystools.monitor","data":{}}', "[" * 5000):
        line.text(text)
    line.text('{"type":"progress","data":{"value":"x","max":[],"prompt_id":7}}')
    line.text('{"type":"executing","data":{"node":"2"}}')
    for value, most in ((-1, 4), (1, 0), (1e308, 1e-308)):
        line.tell("progress", value=value, max=most, node="3", prompt_id=handle)
    for frame in (b"", b"\0\0\0\1", b"\0" * 8, b"\0\0\0\4\xff\xff\xff\xff", b"\0\0\0\4\0\0\0\2{}x"):
        line.binary(frame)
    line.binary(preview(b"no picture", handle, "3"))
    line.binary(b"\0\0\0\4\0\0\0\1{" + PNG)
    line.binary(preview(PNG + bytes(3 * 2**20), handle, "3"))
    await rig.heard.until(lambda: rig.heard.of(Shown))
    assert len(rig.heard.of(Shown)) == 1
    assert len(rig.double.sockets) == 1
    rig.double.finish(handle, {"9": FILE})
    assert isinstance(await end(following), Done)


async def test_only_the_newest_preview_is_shown(rig: Rig) -> None:
    """To a listener that is slow three pictures are one: the last."""
    handle, following = await running(rig)
    gate, going = asyncio.Event(), asyncio.Event()

    async def slow(report: object) -> None:
        if isinstance(report, Moved):
            going.set()
            await gate.wait()

    following.cancel()
    await asyncio.gather(following, return_exceptions=True)
    shown: list[bytes] = []

    async def report(told: object) -> None:
        await slow(told)
        if isinstance(told, Shown):
            shown.append(told.data)

    asked = rig.prediction()
    job = rig.backend.router.open(handle)
    job.course.know(GRAPH)
    job.life = rig.backend.life
    job.course.at("3")
    job.news.set()
    again = asyncio.create_task(rig.provider.follow(asked, handle, report))
    await going.wait()
    pictures = [JPEG + bytes([place]) for place in range(3)]
    for picture in pictures:
        rig.double.sockets[0].binary(preview(picture, handle, "3"))
    await turned(lambda: job.preview is not None and job.preview.data == pictures[2])
    gate.set()
    rig.double.finish(handle, {"9": FILE})
    assert isinstance(await end(again), Done)
    assert shown == [pictures[2]]


async def test_two_samplers_count_on(rig: Rig) -> None:
    """A second sampler that begins at its own 1 does not take the progress back."""
    graph = GRAPH | {
        "4": {"class_type": "KSampler", "inputs": {"image": ["3", 0], "steps": 4}},
        "9": {"class_type": "SaveImage", "inputs": {"images": ["4", 0]}},
    }
    handle, following = await running(rig, params={"workflow": graph})
    for node in ("3", "4"):
        for value in (1, 4):
            rig.double.tell("executing", node=node, prompt_id=handle)
            rig.double.tell("progress", value=value, max=4, node=node, prompt_id=handle)
            await rig.digest()
    told = [(m.message, m.step, m.progress) for m in rig.heard.of(Moved) if m.step]
    assert told == [
        ("KSampler", 1, 0.1),
        ("KSampler", 4, 0.4),
        ("KSampler", 1, 0.5),
        ("KSampler", 4, 0.8),
    ]
    following.cancel()


async def test_after_our_restart_it_is_found_where_it_is(double: ComfyDouble) -> None:
    """Another process follows by the handle: through the queue into the history, and posts
    nothing."""
    async with rigged(double) as before:
        handle = await before.provider.start(before.prediction())
    async with rigged(double) as rig:
        following = rig.follow(rig.prediction(), handle)
        double.begin(handle)
        asked = double.count("GET", "/queue")
        await double.until(lambda: double.count("GET", "/queue") >= asked + 2)
        job = rig.backend.router.find(handle)
        assert job is not None and set(job.course.graph) == set(GRAPH)
        double.end(handle, outputs={"9": FILE})
        assert isinstance(await end(following), Done)
        assert [f.key for f in rig.heard.of(Found)] == ["9/0/a.png"]
    assert len(double.posted) == 1


async def test_after_our_restart_what_ended_is_found(double: ComfyDouble) -> None:
    """What ended while we were away is Done, with its files, in the same order again."""
    double.pending = [_stranger(prompt_id_of(_asked()), 0)]
    double.end(prompt_id_of(_asked()), outputs={"9": FILE})
    for _ in range(2):
        async with rigged(double) as rig:
            assert isinstance(await end(rig.follow(rig.prediction())), Done)
            assert [f.key for f in rig.heard.of(Found)] == ["9/0/a.png"]


async def test_after_their_restart_it_is_gone(rig: Rig) -> None:
    """A backend that dropped its socket and knows nothing has lost the prompt: it may be run
    again, and is not called done."""
    _, following = await running(rig)
    rig.double.restart()
    assert isinstance(await end(following), Gone)
    assert len(rig.double.posted) == 1


async def test_a_restart_shows_without_a_socket(double: ComfyDouble) -> None:
    """Where there is no socket, earlier prompts of ours that are forgotten show it, too."""
    double.refuse_sockets = True
    async with rigged(double) as rig:
        handle, following = await rig.start()
        double.begin(handle)
        double.end(handle, outputs={"9": FILE})
        assert isinstance(await end(following), Done)
        _, second = await rig.start(rig.prediction(uid="u2"))
        double.restart()
        assert isinstance(await end(second), Gone)


async def test_what_somebody_else_removed_has_ended(double: ComfyDouble) -> None:
    """Taken out of the queue of a server that did not restart, it was stopped by somebody."""
    async with rigged(double, timings=_with(silence=0.02)) as rig:
        _, following = await rig.start()
        await rig.heard.until(lambda: rig.heard.of(Moved))
        double.pending = []
        assert isinstance(await end(following), Ended)
        assert rig.heard.of(Moved)[-1].message == "removed from the backend's queue"


async def test_what_somebody_else_interrupted_has_ended(rig: Rig) -> None:
    """An interrupt that was not ours is told, and is no failure of a node."""
    handle, following = await running(rig)
    rig.double.finish(handle, last="execution_interrupted", node_id="3")
    assert isinstance(await end(following), Ended)
    assert rig.heard.of(Moved)[-1].message == "interrupted on the backend"


async def test_trouble_while_it_runs_is_waited_out(rig: Rig) -> None:
    """A page, an error, a lost answer, silence: none of them ends what runs."""
    handle, following = await running(rig)
    rig.double.end(handle, outputs={"9": FILE})
    rig.double.faults["GET /history"] += [PAGE, Answer(500), "lose", "hang", Answer(200, b"[]")]
    rig.double.tell("executing", node=None, prompt_id=handle)
    assert isinstance(await end(following), Done)
    assert not rig.double.faults["GET /history"]


async def test_pictures_missed_with_the_socket_are_made_again(double: ComfyDouble) -> None:
    """What a node sent over a socket that was away is nowhere: the attempt is made again,
    not called done without it."""
    graph = GRAPH | {"9": {"class_type": "SaveImageWebsocket", "inputs": {"images": ["3", 0]}}}
    async with rigged(double) as rig:
        handle, following = await running(rig, params={"workflow": graph})
        double.end(handle)
        double.sockets[0].drop()
        outcome = await end(following)
        assert isinstance(outcome, Again) and "node 9" in outcome.message
        assert rig.heard.of(Made) == []


async def test_nothing_made_is_no_success(rig: Rig) -> None:
    """A prompt that ends well with nothing, or with files nobody can keep, has failed."""
    for uid, outputs in (("u1", {}), ("u2", {"9": {"3d": [{"filename": "a.glb"}]}})):
        handle, following = await running(rig, uid=uid)
        rig.double.finish(handle, outputs)
        outcome = await end(following)
        assert isinstance(outcome, Never) and outcome.code == "provider_failed"
    assert ".glb" in outcome.message


def _with(**fields: float) -> object:
    """The quick timings, with others in their place."""
    return type(QUICK)(**{name: getattr(QUICK, name) for name in QUICK.__struct_fields__} | fields)


def _stranger(prompt_id: str, number: int) -> dict[str, object]:
    return {"prompt_id": prompt_id, "number": number, "prompt": GRAPH}


def _asked() -> object:
    """The prediction that every rig makes."""
    return Rig.prediction(None)  # it needs nothing of a rig
