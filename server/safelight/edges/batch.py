"""POST /api/tasks:batch: many creates in one request, each with a verdict of its own.

Adds nothing to a create: every member goes the way of a single one, at the same time as
the others, so that they share a commit. The answer is 200 whatever came of them; what
came of each stands in its row, in the order of the list. See docs/wire.md, "A batch".
"""

from __future__ import annotations

from typing import Any

import anyio
import msgspec
from starlette.requests import Request
from starlette.responses import Response

from safelight_protocol.batch import Member, read_batch, waits_for
from safelight_protocol.codes import Refused
from safelight_protocol.commands import is_app_form, read_key_header

from ..care import Answer
from .bodies import answer, read_json
from .context import Context, context_of
from .problems import problem_document, unexpected
from .tasks import created_data

Verdict = Answer | Refused


async def create(request: Request) -> Response:
    """POST /api/tasks:batch."""
    context = context_of(request)
    owner = context.owner(request)
    key = read_key_header(request.headers.get("idempotency-key"))
    members = read_batch(await read_json(request, context), key=key)
    verdicts = await _decided(context, owner, members)
    rows = [
        _row(context, index, member, verdict)
        for index, (member, verdict) in enumerate(zip(members, verdicts, strict=True))
    ]
    counted = _counted(verdicts)
    told = ", ".join(f"{count} {word}" for word, count in counted.items() if count)
    return answer({"results": rows, **counted}, told)


async def _decided(context: Context, owner: str, members: list[Member]) -> list[Verdict]:
    """Every member's verdict, all asked for at once; who may be the same task as an
    earlier member waits until that one has been decided."""
    commands = [member.command for member in members]
    verdicts: dict[int, Verdict] = {}
    decided = [anyio.Event() for _ in members]

    async def decide(index: int) -> None:
        try:
            for earlier in waits_for(commands, index):
                await decided[earlier].wait()
            verdicts[index] = await _verdict(context, owner, commands[index])
        finally:
            decided[index].set()

    async with anyio.create_task_group() as group:
        for index in range(len(members)):
            group.start_soon(decide, index)
    return [verdicts[index] for index in range(len(members))]


async def _verdict(context: Context, owner: str, command: Any) -> Verdict:
    """The one place where a member's trouble becomes its verdict: nobody else's."""
    if isinstance(command, Refused):
        return command
    try:
        return await context.orchestrator.create(owner, command)
    except Refused as refused:
        return refused
    except Exception as defect:
        return unexpected(defect)


def _row(context: Context, index: int, member: Member, verdict: Verdict) -> dict[str, Any]:
    if isinstance(verdict, Refused):
        document = problem_document(verdict, app=is_app_form(member.body)) | {"index": index}
        return {"index": index, "status": document["status"], "problem": document}
    data = msgspec.Raw(created_data(context, verdict, verdict.snapshot))
    return {"index": index, "status": 202 if verdict.created else 200, "data": data}


def _counted(verdicts: list[Verdict]) -> dict[str, int]:
    made = [verdict.created for verdict in verdicts if not isinstance(verdict, Refused)]
    created = sum(made)
    return {
        "created": created,
        "attached": len(made) - created,
        "refused": len(verdicts) - len(made),
    }
