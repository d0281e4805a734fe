"""The worker process: `python -m safelight.brush.worker`.

Reads jobs from standard input and writes replies to standard output (`pipe.py`), one
job at a time, for as long as the input is open: when the server dies, the input ends
and so does the worker, at the latest with its current step. SIGINT is ignored, because
a terminal sends it to the whole group. Set OMP_NUM_THREADS=1 and the like in its
environment, so that a worker takes one core.
"""

from __future__ import annotations

import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from typing import BinaryIO, NamedTuple

import msgspec

from .clip import clip
from .paint import paint
from .pipe import BrokenMessage, Header, Job, encode_message, read_message
from .prose import WriteSpec, write
from .spec import MAX_SEED, BadInput, BadSpec, PaintSpec, Step

Send = Callable[..., None]
"""Sends a reply of the current job: type, body, and the fields of `Header`."""

NICE = 10
"""Painting may wait; the server that tells of it, on the same cores, may not."""

BROKEN_INPUT = 2
"""The exit code when standard input holds no message."""


class _Planned(Exception):
    """The failure that the job asked for."""


class Clock(NamedTuple):
    """Seconds that only grow, and a way to let them pass."""

    now: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


REAL = Clock()


class _Pace:
    """Makes a step last at least so many seconds."""

    def __init__(self, seconds: float, clock: Clock) -> None:
        self._seconds, self._clock = seconds, clock
        self._since = clock.now()

    def wait(self) -> None:
        left = self._since + self._seconds - self._clock.now()
        if left > 0:
            self._clock.sleep(left)
        self._since = self._clock.now()


def serve(source: BinaryIO, sink: BinaryIO, clock: Clock = REAL) -> int:
    """Do jobs until the source ends; returns the exit code."""
    decoder = msgspec.json.Decoder(Job)
    while True:
        try:
            message = read_message(source)
        except BrokenMessage as trouble:
            _sender(sink, "")("failed", code="invalid", message=f"no message: {trouble}")
            return BROKEN_INPUT
        if message is None:
            return 0
        head, body = message
        try:
            job = decoder.decode(head)
        except (msgspec.DecodeError, UnicodeDecodeError) as trouble:
            _sender(sink, "")("failed", code="invalid", message=f"no job: {trouble}")
            continue
        _do(job, body, _sender(sink, job.job), clock)


def _sender(sink: BinaryIO, job: str) -> Send:
    def send(type: str, body: bytes = b"", **fields: object) -> None:
        header = msgspec.convert({"job": job, "type": type, **fields}, Header)
        sink.write(encode_message(header, body))
        sink.flush()

    return send


def _do(job: Job, body: bytes, send: Send, clock: Clock) -> None:
    """One job, to exactly one `done` or `failed`."""
    try:
        pace = _Pace(job.pace_seconds, clock)
        if job.kind == "text":
            _write(job, send, pace)
        else:
            _paint(job, body, send, pace)
    except BrokenPipeError:
        raise
    except BadInput as trouble:
        send("failed", code="invalid_input", message=str(trouble))
    except BadSpec as trouble:
        send("failed", code="invalid", message=str(trouble))
    except _Planned:
        send("failed", code="provider_failed", message=job.fail_message)
    except Exception as trouble:
        traceback.print_exc()
        send("failed", code="internal", message=f"the brush broke: {type(trouble).__name__}")
    else:
        send("done")


def _paint(job: Job, body: bytes, send: Send, pace: _Pace) -> None:
    total, first = job.steps * job.n, _seed(job)
    for index in range(job.n):
        spec = _spec(job, (first + index) % (MAX_SEED + 1), body)
        for step in clip(spec) if job.kind == "video" else paint(spec):
            number = index * job.steps + step.index
            _fail_at(job, number)
            send("progress", step=number, steps=total, message=step.message)
            _show(step, number, send)
            pace.wait()
            if step.result is not None:
                result = step.result
                send(
                    "artifact",
                    result.data,
                    index=index,
                    kind=job.kind,
                    media_type=result.media_type,
                    width=result.width,
                    height=result.height,
                )


def _show(step: Step, number: int, send: Send) -> None:
    if step.preview is not None:
        send("preview", step.preview.data, step=number, media_type=step.preview.media_type)


def _write(job: Job, send: Send, pace: _Pace) -> None:
    spec = WriteSpec(
        prompt=job.prompt, seed=_seed(job), max_words=job.max_words, negative=job.negative
    )
    pieces: Iterator[str] = write(spec)
    for number, piece in enumerate(pieces, 1):
        _fail_at(job, number)
        send("text", delta=piece)
        pace.wait()


def _fail_at(job: Job, number: int) -> None:
    if job.fail_at_step == number:
        raise _Planned


def _seed(job: Job) -> int:
    digits = job.seed.isascii() and job.seed.isdigit() and len(job.seed) <= 20
    if not digits or int(job.seed) > MAX_SEED:
        raise BadSpec(f"seed: found {job.seed[:40]!r}, expected 0 to {MAX_SEED} in decimal")
    return int(job.seed)


def _spec(job: Job, seed: int, body: bytes) -> PaintSpec:
    return PaintSpec(
        prompt=job.prompt,
        seed=seed,
        width=job.width,
        height=job.height,
        steps=job.steps,
        negative=job.negative,
        image=body,
        strength=job.strength,
        metadata=job.metadata,
    )


def main() -> None:
    """Serve standard input and output, and end with them."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(NICE)
    # Whatever a library prints must not land between two messages.
    sink = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        sys.exit(serve(sys.stdin.buffer, sink))
    except BrokenPipeError:
        # Closing would flush, and fail again.
        os._exit(0)


if __name__ == "__main__":
    main()
