"""The worker: jobs in, replies out, over streams and over the pipe of a real process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from io import BytesIO

import pytest
from PIL import Image

from safelight.brush.paint import paint
from safelight.brush.pipe import Header, Job, MessageReader, encode_message
from safelight.brush.prose import WriteSpec, text
from safelight.brush.spec import PaintSpec
from safelight.brush.worker import BROKEN_INPUT, Clock, serve

from .conftest import Last

COMMAND = [sys.executable, "-m", "safelight.brush.worker"]
LIMIT = 50
Replies = list[tuple[Header, bytes]]


def job(kind: str = "image", **fields: object) -> Job:
    known = {"job": "j", "prompt": "a cat", "seed": "3", "width": 256, "height": 256, "steps": 2}
    return Job(kind=kind, **known | fields)


def answers(source: bytes, code: int = 0, clock: Clock | None = None) -> Replies:
    """The replies of `serve` to what stands in `source`."""
    sink = BytesIO()
    assert serve(BytesIO(source), sink, clock or Clock()) == code
    return MessageReader().feed(sink.getvalue())


def types(replies: Replies) -> list[str]:
    return [header.type for header, _ in replies]


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A worker process, killed at the end if it still runs."""
    pipe = subprocess.PIPE
    with subprocess.Popen(COMMAND, stdin=pipe, stdout=pipe, stderr=pipe, bufsize=0) as process:
        yield process
        process.kill()


def first_reply(child: subprocess.Popen[bytes]) -> Header:
    """Wait for one whole reply; the pipe's bytes after it stay unread."""
    assert child.stdout is not None
    reader = MessageReader()
    while not (found := reader.feed(child.stdout.read(1))):
        pass
    return found[0][0]


def test_an_image_job_tells_its_steps(last: Last) -> None:
    """Each step is a progress and a preview, then come the artifact and done."""
    replies = answers(encode_message(job()))
    assert types(replies) == ["progress", "preview"] * 2 + ["artifact", "done"]
    assert {header.job for header, _ in replies} == {"j"}
    steps = [(h.step, h.steps, h.message) for h, _ in replies if h.type == "progress"]
    assert steps == [(1, 2, "Developing"), (2, 2, "Drying")]
    artifact, data = replies[-2]
    assert (artifact.index, artifact.kind, artifact.media_type) == (0, "image", "image/png")
    assert (artifact.width, artifact.height) == (256, 256)
    same = PaintSpec(prompt="a cat", seed=3, width=256, height=256)
    assert data == last(paint(same)).data


def test_more_images_are_more_seeds(last: Last) -> None:
    """Image i is made with seed + i (the last seed is followed by 0), and steps run on."""
    replies = answers(encode_message(job(n=2, steps=1, seed=str(2**64 - 1))))
    assert [h.step for h, _ in replies if h.type == "progress"] == [1, 2]
    first, second = ((h.index, body) for h, body in replies if h.type == "artifact")
    assert (first[0], second[0]) == (0, 1) and first[1] != second[1]
    assert second[1] == last(paint(PaintSpec(prompt="a cat", seed=0, width=256, height=256))).data


def test_a_text_job_streams_pieces() -> None:
    """The pieces add up to the text, within the words allowed."""
    replies = answers(encode_message(job("text", max_words=60)))
    assert set(types(replies[:-1])) == {"text"} and types(replies)[-1] == "done"
    written = "".join(header.delta or "" for header, _ in replies)
    assert written == text(WriteSpec(prompt="a cat", seed=3, max_words=60))


def test_a_video_job_gives_a_clip() -> None:
    """The artifact is an animated file of kind video."""
    artifact, data = answers(encode_message(job("video", prompt="galaxy", steps=1)))[-2]
    assert (artifact.kind, artifact.media_type) == ("video", "image/webp")
    with Image.open(BytesIO(data)) as film:
        assert film.n_frames == 24


def test_metadata_and_input_reach_the_painter() -> None:
    """Without metadata the file is silent; an input image changes the picture."""
    (_, plain), *_ = answers(encode_message(job(metadata=False)))[-2:]
    assert b"a cat" not in plain
    photo = BytesIO()
    Image.new("RGB", (300, 300), (250, 250, 0)).save(photo, "PNG")
    (_, exposed), *_ = answers(encode_message(job(metadata=False), photo.getvalue()))[-2:]
    assert exposed != plain


@pytest.mark.parametrize("at", [1, 3])
def test_a_planned_failure_comes_at_its_step(at: int) -> None:
    """The steps before it are told, then it fails once, and no artifact comes of that image."""
    wish = job(n=2, fail_at_step=at, fail_message="the lamp broke")
    replies = answers(encode_message(wish))
    assert Counter(types(replies))["progress"] == at - 1
    assert Counter(types(replies))["artifact"] == (at - 1) // 2
    failed, _ = replies[-1]
    assert (failed.type, failed.code) == ("failed", "provider_failed")
    assert failed.message == "the lamp broke"


def test_a_text_job_can_fail_too() -> None:
    """Pieces before the step are told, then it fails."""
    replies = answers(encode_message(job("text", fail_at_step=4)))
    assert types(replies) == ["text"] * 3 + ["failed"]


@pytest.mark.parametrize(
    ("wish", "body", "code", "says"),
    [
        (job(), b"no picture", "invalid_input", "input image"),
        (job(width=9), b"", "invalid", "width: found 9"),
        (job(seed="-1"), b"", "invalid", "seed: found '-1'"),
        (job(seed="18446744073709551616"), b"", "invalid", "seed: found"),
        (job("text", max_words=0), b"", "invalid", "max_words: found 0"),
    ],
    ids=["image", "width", "sign", "seed", "words"],
)
def test_a_bad_job_fails_and_the_next_one_runs(
    wish: Job, body: bytes, code: str, says: str
) -> None:
    """A job that cannot be done fails with its code and reason; the worker goes on."""
    good = job("text", job="next", fail_at_step=1)
    (failed, _), (after, _) = answers(encode_message(wish, body) + encode_message(good))
    assert (failed.job, failed.type, failed.code) == ("j", "failed", code)
    assert says in (failed.message or "")
    assert after.job == "next"


def test_a_step_takes_its_time() -> None:
    """A fast step is drawn out to the pace; time that the work took counts."""
    now, slept = [0.0], []

    def sleep(seconds: float) -> None:
        slept.append(seconds)
        now[0] += seconds

    def tick() -> float:
        now[0] += 0.25
        return now[0]

    answers(encode_message(job("text", fail_at_step=4, pace_seconds=1.0)), clock=Clock(tick, sleep))
    assert slept == [0.75, 0.75, 0.75]
    slept.clear()
    answers(encode_message(job("text", fail_at_step=4)), clock=Clock(tick, sleep))
    assert slept == []


def test_what_is_no_job_fails_without_a_name() -> None:
    """A well-framed message that is no job is answered, and the next job runs."""
    head = b'{"job": 5}'
    strange = len(head).to_bytes(4, "big") + head + bytes(4)
    (failed, _), (after, _) = answers(strange + encode_message(job("text", fail_at_step=1)))
    assert (failed.job, failed.code) == ("", "invalid")
    assert after.job == "j"


def test_garbage_ends_the_process(child: subprocess.Popen[bytes]) -> None:
    """Bytes that are no message are answered once, and the worker exits, since nothing follows."""
    out, _ = child.communicate(b"GET / HTTP/1.1\r\n\r\n", timeout=LIMIT)
    assert child.returncode == BROKEN_INPUT
    ((failed, _),) = MessageReader().feed(out)
    assert (failed.type, failed.code) == ("failed", "invalid")


def test_a_process_does_jobs_until_its_input_ends(child: subprocess.Popen[bytes]) -> None:
    """Two jobs are done in their order; then the end of input is a clean exit."""
    wishes = encode_message(job("text", job="1")) + encode_message(job(job="2", steps=1))
    out, errors = child.communicate(wishes, timeout=LIMIT)
    replies = MessageReader().feed(out)
    assert [header.job for header, _ in replies if header.type == "done"] == ["1", "2"]
    assert (child.returncode, errors) == (0, b"")


def test_sigint_is_ignored(child: subprocess.Popen[bytes]) -> None:
    """Ctrl-C in the terminal of the server does not break the picture."""
    assert child.stdin is not None
    child.stdin.write(encode_message(job(steps=3)))
    child.stdin.flush()
    assert first_reply(child).type == "progress"
    os.kill(child.pid, signal.SIGINT)
    out, _ = child.communicate(timeout=LIMIT)
    assert child.returncode == 0 and b'"type":"done"' in out


def test_nobody_listening_ends_the_process(child: subprocess.Popen[bytes]) -> None:
    """When the server is gone in mid-job, the worker ends at its next step, without a word."""
    assert child.stdin is not None and child.stdout is not None and child.stderr is not None
    child.stdin.write(encode_message(job(steps=1000)))
    child.stdin.flush()
    first_reply(child)
    child.stdout.close()
    assert child.wait(timeout=LIMIT) == 0
    assert child.stderr.read() == b""
