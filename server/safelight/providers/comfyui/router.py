"""Who hears what on the one socket: each prompt has a mailbox, found by its id.

A mailbox holds the newest state and the newest preview, so that a slow listener costs
nothing; only pictures that are results are kept, each of them. Foreign prompts and
unknown ids are dropped. Knows neither sockets nor outcomes.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import anyio

from .graph import ROLLED_OUT, class_of
from .messages import (
    Executing,
    ExecutionCached,
    ExecutionStart,
    ExecutionSuccess,
    Message,
    Picture,
    Progress,
    ProgressState,
    Words,
)
from .progress import Course


class Job:
    """One prompt of ours. `over` once the server says that its history is written,
    `succeeded` shortly before; `begun` once it runs; `heard` counts what came for it.
    `look` is set by whoever knows that it should be looked up now. `life` is that of the
    server when it was sent under our client id; None for one of which that is not known, or
    not so, whose news go to somebody else.
    """

    def __init__(self, prompt_id: str) -> None:
        self.prompt_id = prompt_id
        self.course = Course()
        self.preview: Picture | None = None
        self.results: list[Picture] = []
        self.received: dict[str, int] = {}
        self.expected: dict[str, int] = {}
        self.begun = False
        self.succeeded = False
        self.over = False
        self.canceled = False
        self.followed = False
        self.look = False
        self.life: tuple[int, int] | None = None
        self.heard = 0
        self.ended = anyio.Event()
        self.news = anyio.Event()

    def nudge(self) -> None:
        """Look it up now."""
        self.look = True
        self.news.set()

    def take_results(self) -> list[Picture]:
        """What came as a result since the last time."""
        taken, self.results = self.results, []
        return taken

    def take_preview(self) -> Picture | None:
        """The newest preview, once."""
        taken, self.preview = self.preview, None
        return taken

    def hear(self, message: Message) -> None:
        """Take in one message about this prompt."""
        self.heard += 1
        self.begun = True
        match message:
            case ExecutionStart():
                pass
            case ExecutionCached(data=data):
                self.course.cached(data.nodes)
            case Executing(data=data) if data.node is None:
                self.over = True
            case Executing(data=data) if data.node is not None:
                self.course.at(data.node)
            case Progress(data=data):
                self._expect(data.node, data.max)
                self.course.bar(data)
            case ProgressState(data=data):
                for node, state in data.nodes.items():
                    self._expect(node, state.max)
                self.course.states(data.nodes)
            case ExecutionSuccess():
                self.succeeded = True
        self.news.set()

    def see(self, picture: Picture) -> None:
        """A picture: the result of a node that sends its results, or else a preview."""
        self.heard += 1
        node = picture.node or self.course.node or ""
        if class_of(self.course.graph, node) == ROLLED_OUT:
            self.results.append(picture)
            self.received[node] = self.received.get(node, 0) + 1
        else:
            self.preview = picture
        self.news.set()

    def _expect(self, node: str | None, most: float) -> None:
        if node is not None and class_of(self.course.graph, node) == ROLLED_OUT:
            self.expected[node] = max(self.expected.get(node, 1), int(min(most, 10_000)))


class Router:
    """The mailboxes of one backend. `frames` counts everything that came on its sockets."""

    def __init__(self) -> None:
        self.frames = 0
        self.needed = anyio.Event()
        self._jobs: dict[str, Job] = {}
        self._last: Job | None = None

    @property
    def jobs(self) -> list[Job]:
        """All that are open."""
        return list(self._jobs.values())

    def open(self, prompt_id: str) -> Job:
        """The mailbox of a prompt, made if there is none."""
        job = self._jobs.get(prompt_id)
        if job is None:
            job = self._jobs[prompt_id] = Job(prompt_id)
            self.needed.set()
        return job

    def find(self, prompt_id: str) -> Job | None:
        """The mailbox, if there is one."""
        return self._jobs.get(prompt_id)

    def rename(self, prompt_id: str, to: str) -> None:
        """The server calls it otherwise."""
        job = self._jobs.pop(prompt_id)
        job.prompt_id = to
        self._jobs[to] = job

    def close(self, prompt_id: str) -> None:
        """Nobody listens any more."""
        job = self._jobs.pop(prompt_id, None)
        if job is not None:
            job.ended.set()
            if self._last is job:
                self._last = None
        if not self._jobs and self.needed.is_set():
            self.needed = anyio.Event()

    @contextmanager
    def listening(self, prompt_id: str) -> Iterator[Job]:
        """The mailbox as long as somebody follows the prompt."""
        job = self.open(prompt_id)
        job.followed = True
        try:
            yield job
        finally:
            self.close(prompt_id)

    def message(self, message: Message) -> None:
        """Hand a message to the prompt that it is about, and remember whose turn it is."""
        prompt_id = message.data.prompt_id
        if prompt_id is None:
            return  # the greeting of a socket that came back: the next one says more
        job = self._jobs.get(prompt_id)
        self._last = job
        if job is not None:
            job.hear(message)

    def picture(self, picture: Picture) -> None:
        """A picture that does not say whose it is belongs to what was told of last; it may
        be a stranger's, whose pictures are sent to everybody."""
        if picture.prompt_id is not None:
            job = self._jobs.get(picture.prompt_id)
        else:
            job = self._last
        if job is not None and not job.over:
            job.see(picture)

    def words(self, words: Words) -> None:
        """Words never say whose they are."""
        if self._last is not None:
            self._last.course.says(words.node, words.text)
            self._last.news.set()

    def nudge(self) -> None:
        """The socket was away: whatever was missed is nowhere told again."""
        for job in self._jobs.values():
            job.nudge()
