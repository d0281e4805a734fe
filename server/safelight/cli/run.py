"""`safelight run`: make a task, watch it, and keep what it made.

Owns the order of these and the words around them. Ctrl-C stops the watching, never
the task, and says how to watch it again and how to end it. Files are written whole or not
at all.
"""

from __future__ import annotations

import argparse
import asyncio
import mimetypes
from pathlib import Path
from typing import Any

import anyio

from safelight_protocol.events import Artifact
from safelight_protocol.snapshot import Snapshot

from ..client import Client
from ..settings import Remote
from . import remote
from .asking import Asked, asked_by, completed
from .bar import Bar, said_of
from .money import charge_in_words
from .params import add_request
from .world import World, shown


def add(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command."""
    parser = commands.add_parser("run", help="make a task, watch it and keep its result")
    parser.add_argument("prompt", nargs="?", help="what to make")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="where to keep it")
    add_request(parser)
    parser.add_argument("--attach", metavar="ID", help="watch a task that is there already")
    remote.add_options(parser)
    parser.set_defaults(act=act, fail=parser.error)


def act(args: argparse.Namespace, world: World) -> int:
    """Run it. Exit code 0 when it completed, 1 when it did not, 130 after Ctrl-C."""
    if (args.prompt is None) == (args.attach is None):
        args.fail("expected a prompt, or --attach with the id of a task")
    server = remote.remote_of(args, world)
    if args.output is not None and not args.output.resolve().parent.is_dir():
        world.complain(f"cannot write the result: there is no folder {args.output.parent}")
        return 1
    run = Run(world, args.attach or asked_by(args), args.output)
    try:
        return asyncio.run(remote.with_client(server, world, run.go, run.bar.line))
    except KeyboardInterrupt:
        run.bar.wipe()
        world.note(_farewell(run.task_id, server))
        return remote.INTERRUPTED
    except BrokenPipeError:
        raise  # whoever reads what is said has enough, and the file is not what failed
    except OSError as trouble:
        run.bar.wipe()
        world.complain(f"cannot write the result: {trouble}")
        return 1


class Run:
    """One run of the command: of a task by its id, or of a request. `task_id` is known once
    the server has accepted that."""

    def __init__(self, world: World, what: str | Asked, output: Path | None) -> None:
        self._world = world
        self._what = what
        self._output = output
        self.bar = Bar(world.err)
        self.task_id = what if isinstance(what, str) else None
        self._text: tuple[int, str] = (0, "")
        self._said = ""

    async def go(self, client: Client) -> int:
        """All of it."""
        await client.version()  # no server at all is said at once, not after many tries
        self.task_id = task_id = await self._accepted(client)
        last = None
        async for snapshot in client.watch(task_id):
            last = snapshot
            self._show(snapshot)
        assert last is not None, "a watch that ends has shown the end"
        self.bar.wipe()
        return await self._end(client, last)

    async def _accepted(self, client: Client) -> str:
        """The id of the task, made now unless it is there already."""
        if isinstance(self._what, str):
            return self._what
        body = await completed(self._what, client, self._world)
        accepted = await client.create(**body, on_warning=self._warn)
        self._world.note(f"task {accepted.task_id}")
        return accepted.task_id

    def _show(self, snapshot: Snapshot) -> None:
        if snapshot.kind == "text" and self._output is None and (snapshot.text or self._text[1]):
            self._stream(snapshot)
        else:
            self.bar.show(snapshot)

    def _stream(self, snapshot: Snapshot) -> None:
        """Write what is new of a text. Another attempt begins it anew."""
        self.bar.wipe()
        attempt, written = self._text
        if written and said_of(snapshot) not in ("", self._said):
            self._world.note(f"\n({said_of(snapshot)})")
        self._said = said_of(snapshot)
        if snapshot.attempt != attempt and written:
            self._world.note(f"\n(attempt {snapshot.attempt} begins the text again)")
        if snapshot.attempt != attempt:
            written = ""
        out = self._world.out
        fresh = snapshot.text[len(written) :]
        out.write(shown(fresh) if out.isatty() else fresh)
        out.flush()
        self._text = (snapshot.attempt, snapshot.text)

    async def _end(self, client: Client, snapshot: Snapshot) -> int:
        if snapshot.substituted_for is not None:
            self._world.note(f"{snapshot.model} stood in for {snapshot.substituted_for}")
        if snapshot.charge is not None and snapshot.charge.verdict != "free":
            self._world.note(charge_in_words(snapshot.charge))
        if snapshot.status == "completed" and snapshot.kind == "text":
            return await self._keep_text(snapshot)
        if snapshot.status == "completed":
            return await self._keep_files(client, snapshot)
        error = snapshot.error_data
        why = "" if error is None else f": {error.message} ({error.code})"
        self._world.complain(f"task {snapshot.task_id} {snapshot.status}{why}")
        return 1

    async def _keep_text(self, snapshot: Snapshot) -> int:
        path = self._output
        if path is None:
            if not snapshot.text.endswith("\n"):
                self._world.say("")
            return 0
        part = anyio.Path(path.with_name(f".{path.name}.part"))
        await part.write_text(snapshot.text, encoding="utf-8")
        await part.replace(path)
        self._world.say(str(path))
        return 0

    async def _keep_files(self, client: Client, snapshot: Snapshot) -> int:
        result = snapshot.result_data
        artifacts = () if result is None else result.artifacts
        for number, artifact in enumerate(artifacts, start=1):
            path = path_for(artifact, number, snapshot.task_id, self._output)
            await client.artifact(artifact.url, path, artifact.sha256)
            self._world.say(str(path))
            if mimetypes.guess_type(path.name)[0] not in (None, artifact.media_type):
                self._world.note(f"note: {path.name} is {artifact.media_type}, whatever its name")
        if not artifacts:
            self._world.complain(f"task {snapshot.task_id} completed without a file")
            return 1
        return 0

    def _warn(self, warning: Any) -> None:
        if isinstance(warning, dict):
            asked, has = warning.get("asked"), warning.get("has")
            warning = f"{warning.get('field')}: asked for {asked}, the task has {has}"
        self._world.note(f"note: {warning}")


def path_for(artifact: Artifact, number: int, task_id: str, output: Path | None) -> Path:
    """Where a file goes: where it was told to, else named after its task; from the second
    on with its number."""
    if output is None:
        suffix = mimetypes.guess_extension(artifact.media_type) or ""
        output = Path(task_id + suffix)
    return output if number == 1 else output.with_stem(f"{output.stem}-{number}")


def _farewell(task_id: str | None, server: Remote) -> str:
    if task_id is None:
        return "\nInterrupted before the server answered."
    where = "" if server == Remote(token=server.token) else f" --server {server.url}"
    again, end = f"safelight run --attach {task_id}", f"safelight cancel {task_id}"
    return f"\nThe task goes on. Watch it again with: {again}{where}\nOr end it with: {end}{where}"
