"""Those who ask for tasks, at every door at once, and never know whether they were heard.

Every request is noted before it is sent and again when it was answered. A request whose
answer was lost is sent again with the same id and key, as a good client does; some are
sent twice at the same time on purpose, through different doors.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import msgspec
import websockets

from .history import Answered, Asked
from .reading import Unreadable, read_frame, read_json
from .sockets import SocketWitness
from .wires import Broken, request
from .witnesses import GONE, Stage

TRIES = 60
STEP_SECONDS = (0.0, 0.12)
CHATTY = 0.04
"""How many tasks tell so many steps that whoever comes later is told them folded."""


class Wish(msgspec.Struct, frozen=True):
    """One task that somebody wants: how it may be found again, and what it does."""

    number: int
    kind: str
    prompt: str
    script: list[dict[str, Any]]
    id: str | None = None
    key: str | None = None
    cancel_after: float | None = None

    def native(self) -> dict[str, Any]:
        """The native body."""
        body = {"kind": self.kind, "prompt": self.prompt, "model": f"scripted/{self.kind}"}
        named = {"id": self.id, "request_id": self.key}
        more = {name: value for name, value in named.items() if value is not None}
        return {**body, **more, "params": {"script": self.script}}

    def app(self) -> dict[str, Any]:
        """What the deployed app would send; it names no id."""
        data = {"type": self.kind, "prompt": self.prompt, "script": self.script}
        model = {"model": f"scripted/{self.kind}"}
        return {"input_data": data | ({"request_id": self.key} if self.key else {})} | model


def draw_wish(die: random.Random, number: int, prefix: str) -> Wish:
    """A task of some kind that goes well, badly, or is cancelled, slowly or at once."""
    kind = die.choice(("image", "image", "video", "text"))
    id = f"{prefix}-{number}" if die.random() < 0.6 else None
    key = f"{prefix}-key-{number}" if id is None or die.random() < 0.4 else None
    script = _steps(die, kind)
    cancel = die.uniform(0.0, 1.0) if die.random() < 0.12 else None
    if cancel is not None and die.random() < 0.4:
        script.append({"do": "hang"})
    prompt = f"{prefix} wants {number}"
    return Wish(number, kind, prompt, script, id, key, cancel)


def _steps(die: random.Random, kind: str) -> list[dict[str, Any]]:
    if die.random() < CHATTY:
        return [{"do": "progress", "to": n / 150, "step": n} for n in range(1, 150)]
    steps: list[dict[str, Any]] = []
    count = die.randint(1, 6)
    for n in range(count):
        steps.append({"do": "sleep", "seconds": round(die.uniform(*STEP_SECONDS), 3)})
        if kind == "text":
            steps.append({"do": "text", "delta": f"word {n} "})
        else:
            steps.append({"do": "progress", "to": (n + 1) / (count + 1), "step": n + 1})
    if kind != "text":
        steps += [{"do": kind}] * die.choice((1, 1, 2))
    trouble = die.random()
    if trouble < 0.15:
        steps.append({"do": "fault", "attempt": 1})
    elif trouble < 0.2:
        steps.append({"do": "never", "code": "provider_failed"})
    elif trouble < 0.25:
        steps.insert(0, {"do": "fault", "attempt": 1, "after_seconds": 0.1})
    return steps


Door = Callable[["Wish"], Awaitable[tuple[str, str]]]


class Creators:
    """Sends wishes. `born` gets the id of every task that was accepted, once; `watch` is
    given the witness that whoever creates by joining then is."""

    def __init__(
        self,
        stage: Stage,
        born: asyncio.Queue[str],
        watch: Callable[[Coroutine[Any, Any, None]], asyncio.Task[None]],
    ) -> None:
        self._stage = stage
        self._born = born
        self._watch = watch
        self._known: set[str] = set()
        self._doors = (self._rest, self._rest_app, self._conversation, self._batch)

    async def want(self, wish: Wish, die: random.Random) -> None:
        """Ask until it is answered; perhaps at two doors at once; perhaps cancel it."""
        doors = [die.choice(self._doors) for _ in range(1 + (die.random() < 0.3))]
        asking = [self._insist(door, wish, die) for door in doors]
        if wish.id is not None and die.random() < 0.5:
            asking.append(self._join(wish))
        found = [id for id in await asyncio.gather(*asking) if id is not None]
        if found and wish.cancel_after is not None:
            await asyncio.sleep(wish.cancel_after)
            if {"do": "hang"} in wish.script:
                await self._until_it_runs(found[0], die)
            await self._cancel(found[0], die)

    async def _insist(self, door: Door, wish: Wish, die: random.Random) -> str | None:
        if wish.id is not None and door != self._rest and door != self._batch:
            door = self._rest  # only these can name an id
        for _ in range(TRIES):
            if self._stage.over:
                return None
            verdict, id = await door(wish)
            if verdict == "ok":
                self._welcome(id)
                return id
            if verdict == "refused":
                return None
            await asyncio.sleep(die.uniform(0.05, 0.3))
        return None

    def _welcome(self, id: str) -> None:
        if id not in self._known:
            self._known.add(id)
            self._born.put_nowait(id)

    async def _join(self, wish: Wish) -> str | None:
        """Create by joining; who creates so also watches."""
        body = {name: value for name, value in wish.native().items() if name != "id"}
        assert wish.id is not None
        watcher = SocketWitness(
            self._stage, f"maker of {wish.id}", [wish.id], create=body, door="v2"
        )
        watching = self._watch(watcher.run())
        accepted = asyncio.create_task(watcher.accepted.wait())
        await asyncio.wait((watching, accepted), return_when=asyncio.FIRST_COMPLETED)
        accepted.cancel()
        if not watcher.accepted.is_set():
            return None
        self._welcome(wish.id)
        return wish.id

    async def _rest(self, wish: Wish) -> tuple[str, str]:
        return await self._post("/api/tasks", "rest", wish, wish.native(), key=None)

    async def _rest_app(self, wish: Wish) -> tuple[str, str]:
        return await self._post("/api/tasks", "app", wish, wish.app(), key=wish.key)

    async def _batch(self, wish: Wish) -> tuple[str, str]:
        return await self._post(
            "/api/tasks:batch", "batch", wish, {"tasks": [wish.native()]}, key=None
        )

    async def _post(
        self, target: str, door: str, wish: Wish, body: object, *, key: str | None
    ) -> tuple[str, str]:
        number = self._asked(door, wish)
        json_type = "application/json"
        try:
            async with request(
                self._stage.address,
                "POST",
                target,
                body,
                content_type=json_type,
                idempotency_key=key,
            ) as answer:
                status, data = answer.status, _read(await answer.body())
        except Broken:
            return self._answered(number, "unknown")
        if door == "batch" and status == 200:
            row = data["data"]["results"][0]
            status, data = row["status"], row.get("problem", row)
        if status in (200, 202):
            return self._accepted(number, data["data"])
        if status in (503, 507):
            return self._answered(number, "unknown", code=data.get("code", ""))
        return self._answered(number, "refused", code=data.get("code", str(status)))

    async def _conversation(self, wish: Wish) -> tuple[str, str]:
        """`image_generate` and its like on a conversation's channel."""
        number = self._asked("conversation", wish)
        try:
            reply = await self._generate(wish)
        except GONE:
            return self._answered(number, "unknown")
        response = reply["response"]
        if reply["status"] == "ok":
            made = {"created": response["created"]}
            return self._answered(number, "ok", task=response["task_id"], **made)
        return self._answered(number, "refused", code=response.get("code", ""))

    async def _generate(self, wish: Wish) -> dict[str, Any]:
        host, port = self._stage.address
        event = {"image": "image_generate", "video": "video_generate"}.get(
            wish.kind, "llm_generate"
        )
        payload: dict[str, Any] = {"prompt": wish.prompt, "model": f"scripted/{wish.kind}"}
        payload |= {"script": wish.script, "request_id": wish.key}
        url = f"ws://{host}:{port}/socket/websocket?vsn=2.0.0"
        topic = f"task:chat_{wish.number}"
        async with websockets.connect(
            url, compression=None, ping_interval=None, open_timeout=5, close_timeout=0.5
        ) as socket:
            await socket.send(json.dumps(["1", "1", topic, "phx_join", {}]))
            await socket.send(json.dumps(["1", "2", topic, event, payload]))
            async with asyncio.timeout(10):
                async for data in socket:
                    frame = read_frame(data.encode() if isinstance(data, str) else data, "v2")
                    if frame is not None and frame.event == "phx_reply" and frame.ref == "2":
                        return frame.payload
        raise Broken("it ended without a reply")

    async def _until_it_runs(self, id: str, die: random.Random) -> None:
        """So that some are cancelled at the provider, and not only where they wait."""
        for _ in range(TRIES):
            try:
                async with request(self._stage.address, "GET", f"/api/tasks/{id}") as answer:
                    told = _read(await answer.body()) if answer.status == 200 else {}
                if told.get("data", {}).get("status", "queued") != "queued":
                    return
            except Broken:
                pass
            await asyncio.sleep(die.uniform(0.05, 0.3))

    async def _cancel(self, id: str, die: random.Random) -> None:
        for _ in range(TRIES):
            try:
                target = f"/api/tasks/{id}/cancel"
                async with request(self._stage.address, "POST", target) as answer:
                    if answer.status < 500:
                        return
            except Broken:
                pass
            await asyncio.sleep(die.uniform(0.05, 0.3))

    def _asked(self, door: str, wish: Wish) -> int:
        recorder = self._stage.recorder
        number = recorder.number()
        named = {"id": wish.id if door in ("rest", "batch") else None, "key": wish.key}
        recorder.write(Asked(at=recorder.now, number=number, door=door, body=wish.prompt, **named))
        return number

    def _accepted(self, number: int, data: dict[str, Any]) -> tuple[str, str]:
        """A 200 or 202: the answer is a snapshot, with its cursor."""
        return self._answered(
            number,
            "ok",
            task=data["task_id"],
            created=data["created"],
            snapshot=msgspec.json.encode(data),
        )

    def _answered(self, number: int, verdict: Any, **more: Any) -> tuple[str, str]:
        recorder = self._stage.recorder
        recorder.write(Answered(at=recorder.now, number=number, verdict=verdict, **more))
        return verdict, more.get("task", "")


def _read(body: bytes) -> Any:
    """An answer; one that is no JSON is the web framework's own 500."""
    try:
        return read_json(body)
    except Unreadable:
        return {"code": "internal", "found": body}
