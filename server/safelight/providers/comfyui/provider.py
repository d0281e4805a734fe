"""The provider: starts, finds, follows and stops prompts on whichever backend is named.

The id of a prompt is made of uid and attempt, so it is on our disk with the claim, before
anything is sent; what became of a start whose answer was lost is looked up by it. Nothing
is sent twice under one id: a server would run both.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from ..base import Again, Failure, Gone, Never, Outcome, Prediction, Report, Unclear
from .answers import Accepted, Entry, Waiting
from .backend import ComfyBackend
from .cancel import stop
from .client import Garbled, Told, Trouble, Unanswered, Unreached
from .following import Following
from .graph import Graph
from .making import graph_of
from .refusals import of_body, of_node_errors
from .sight import look

NAMESPACE = uuid.UUID("6f1a4c0e-6d0b-5f0e-9c55-0f6e2b7a9d31")


def prompt_id_of(prediction: Prediction) -> str:
    """The id of an attempt's prompt: a UUID in lower case, which every version takes."""
    return str(uuid.uuid5(NAMESPACE, f"{prediction.uid}/{prediction.attempt}"))


class Comfy:
    """Keeps the contract of providers for any number of ComfyUI servers, by name."""

    name = "comfyui"
    resumable = True
    billed = False

    def __init__(self, backends: Mapping[str, ComfyBackend]) -> None:
        self._backends = dict(backends)

    def open(self) -> AbstractAsyncContextManager[None]:
        """Holds every backend's connections."""
        return self._opened()

    @asynccontextmanager
    async def _opened(self) -> AsyncIterator[None]:
        async with AsyncExitStack() as stack:
            for backend in self._backends.values():
                await stack.enter_async_context(backend.open())
            yield

    async def start(self, prediction: Prediction) -> str:
        """Queue it. Raises Failure: Unclear if the request may have arrived all the same."""
        backend = self._backend(prediction)
        if isinstance(backend, Unclear):
            raise Failure(backend)
        prompt_id = prompt_id_of(prediction)
        if backend.has_sent(prompt_id):
            found = await self.look_up(prediction)
            if isinstance(found, str):
                return found
            if isinstance(found, Unclear):
                raise Failure(found)
        graph = await self._graph(backend, prediction, prompt_id)
        job = backend.router.open(prompt_id)  # news may come before the answer
        job.course.know(graph)
        try:
            await backend.socket.ready()
            job.look, job.life = False, backend.life
            handle = await self._submit(backend, graph, prediction, prompt_id)
        except BaseException:
            backend.router.close(prompt_id)
            raise
        if handle != prompt_id:  # a server that is too old to take ours
            backend.router.rename(prompt_id, handle)
        return handle

    async def _graph(self, backend: ComfyBackend, prediction: Prediction, prompt_id: str) -> Graph:
        """The graph, with its pictures uploaded. Nothing runs because of this."""
        try:
            return await graph_of(
                prediction, prompt_id, backend.workflows, backend.options_of, backend.client
            )
        except Told as told:
            raise Failure(_refused(told, {})) from None
        except Trouble as trouble:
            raise Failure(_unreachable(backend, trouble)) from None

    async def _submit(
        self, backend: ComfyBackend, graph: Graph, prediction: Prediction, prompt_id: str
    ) -> str:
        try:
            accepted = await backend.submit(graph, prompt_id)
        except Unreached as trouble:
            raise Failure(_unreachable(backend, trouble)) from None
        except Unanswered as trouble:
            raise Failure(Unclear(str(trouble))) from None
        except Garbled as trouble:
            return await self._after_trouble(prediction, trouble)
        except Told as told:
            if told.status >= 500:
                return await self._after_trouble(prediction, told)
            raise Failure(_refused(told, graph)) from None
        await self._refuse_part(backend, accepted, graph)
        return accepted.prompt_id

    async def _after_trouble(self, prediction: Prediction, trouble: Trouble) -> str:
        """The answer says nothing about the prompt: look for it before anything else."""
        found = await self.look_up(prediction)
        if isinstance(found, str):
            return found
        if isinstance(found, Gone):
            raise Failure(Again("provider_failed", str(trouble)))
        raise Failure(found)

    async def _refuse_part(self, backend: ComfyBackend, accepted: Accepted, graph: Graph) -> None:
        """A prompt of which only a part would run is stopped, and failed for good."""
        if not accepted.node_errors:
            return
        await stop(backend, accepted.prompt_id)
        why = of_node_errors(accepted.node_errors, graph)
        raise Failure(why or Never("invalid", "the backend refused a part of the graph"))

    async def look_up(self, prediction: Prediction) -> str | Gone | Unclear:
        """The handle if the backend has the prompt; Gone only if it is nowhere twice, with a
        pause in which a request that was on its way would have arrived."""
        backend = self._backend(prediction)
        if isinstance(backend, Unclear):
            return backend
        prompt_id = prompt_id_of(prediction)
        try:
            for last in (False, True):
                if isinstance(await look(backend.client, prompt_id), Entry | Waiting):
                    return prompt_id
                if not last:
                    await backend.pace.sleep(backend.pace.timings.settle)
        except Trouble as trouble:
            return Unclear(str(trouble))
        return Gone("the backend has no such prompt")

    async def follow(self, prediction: Prediction, handle: str, report: Report) -> Outcome:
        """Report until it ends."""
        backend = self._backend(prediction)
        if isinstance(backend, Unclear):
            return backend
        with backend.router.listening(handle) as job:
            return await Following(backend, job, prediction, report).run()

    async def cancel(self, prediction: Prediction, handle: str) -> None:
        """Stop it, and make sure of that."""
        backend = self._backend(prediction)
        if isinstance(backend, Unclear):
            return
        job = backend.router.find(handle)
        if job is not None:
            job.canceled = True
        await stop(backend, handle)
        if job is not None and not job.followed:
            backend.router.close(handle)

    def _backend(self, prediction: Prediction) -> ComfyBackend | Unclear:
        """Where it runs. One that has moved since, or is gone, cannot be asked."""
        name = prediction.backend
        if name is None:
            name = next(iter(self._backends), "")
        backend = self._backends.get(name)
        if backend is None:
            return Unclear(f"there is no backend {name} any more")
        place = prediction.place
        if place is not None and place != backend.url:
            return Unclear(f"backend {name} is at another address than when this began")
        return backend


def _unreachable(backend: ComfyBackend, trouble: Trouble) -> Again:
    """Surely nothing began."""
    return Again("backend_unreachable", str(trouble), backend.pace.timings.unreachable)


def _refused(told: Told, graph: Graph) -> Again | Never:
    """What an answer means that is no success."""
    match told.status:
        case 400 if not told.page:
            return of_body(told.body, graph)
        case 401 | 403:
            return Never("provider_not_configured", f"{told}: check its token and headers")
        case 413:
            return Never("too_large", "the backend takes no body of this size")
        case 408 | 425 | 429 | 500 | 502 | 503 | 504:
            return Again("provider_failed", str(told))
    return Never("provider_failed", f"{told}: is its address right?")
