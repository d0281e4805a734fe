"""Routes under /api/jobs, which the newer release alone has: list, one, cancel.

They tell a cancelled prompt from a failed one, which history does not.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from .answers import as_json, number_or_none
from .lineup import Item
from .options import is_canonical
from .studio import Studio

STATUSES = ("pending", "in_progress", "completed", "failed", "cancelled")
PREVIEWABLE = ("images", "gifs", "video", "audio", "3d")
ENDINGS = {"execution_error": "failed", "execution_interrupted": "cancelled"}
Job = dict[str, Any]


class Jobs:
    """The handlers; one per route."""

    def __init__(self, studio: Studio) -> None:
        self._studio = studio
        self._line = studio.line

    async def many(self, request: Request) -> Response:
        """GET /api/jobs."""
        asked = request.query_params
        wanted = [each for each in asked.get("status", "").split(",") if each]
        if wrong := [each for each in wanted if each not in STATUSES]:
            valid = ", ".join(STATUSES)
            text = f"Invalid status value(s): {', '.join(wrong)}. Valid values: {valid}"
            return as_json({"error": text}, 400)
        jobs = [job for job in self._all() if not wanted or job["status"] in wanted]
        jobs.sort(key=_age(asked.get("sort_by")), reverse=asked.get("sort_order") != "asc")
        offset = number_or_none(asked, "offset") or 0
        limit = number_or_none(asked, "limit")
        shown = jobs[offset : None if limit is None else offset + limit]
        more = offset + len(shown) < len(jobs)
        pages = {"offset": offset, "limit": limit, "total": len(jobs), "has_more": more}
        return as_json({"jobs": shown, "pagination": pages})

    async def one(self, request: Request) -> Response:
        """GET /api/jobs/{job_id}."""
        job_id = request.path_params["job_id"]
        entry = self._line.past(job_id)
        if entry is not None:
            more = {
                "outputs": entry["outputs"],
                "execution_status": entry["status"],
                "workflow": {"prompt": entry["prompt"][2], "extra_data": entry["prompt"][3]},
            }
            return as_json(_past(entry) | more)
        for job in self._current():
            if job["id"] == job_id:
                return as_json(job)
        return as_json({"error": "Job not found"}, 404)

    async def cancel(self, request: Request) -> Response:
        """POST /api/jobs/{job_id}/cancel."""
        return as_json({"cancelled": self._cancel(request.path_params["job_id"])})

    async def cancel_many(self, request: Request) -> Response:
        """POST /api/jobs/cancel."""
        ids = (await request.json()).get("job_ids")
        if not isinstance(ids, list):
            return as_json({"error": "job_ids must be a list"}, 400)
        if wrong := [each for each in ids if not is_canonical(each)]:
            error = "job_ids contains invalid id(s)"
            return as_json({"error": error, "invalid_ids": wrong}, 400)
        return as_json({"cancelled": any([self._cancel(each) for each in ids])})

    def _cancel(self, job_id: str) -> bool:
        if self._line.delete(job_id):
            return True
        running = self._line.running()
        if running is None or running.prompt_id != job_id:
            return False
        self._studio.worker.interrupt(job_id)
        return True

    def _all(self) -> list[Job]:
        return [*self._current(), *map(_past, self._line.history().values())]

    def _current(self) -> list[Job]:
        running, pending = self._line.current()
        return [_waiting(item, "in_progress") for item in running] + [
            _waiting(item, "pending") for item in pending
        ]


def _age(sort_by: str | None) -> Any:
    if sort_by == "execution_duration":
        return lambda job: job.get("execution_end_time", 0) - job.get("execution_start_time", 0)
    return lambda job: (job["create_time"], job["priority"])


def _waiting(item: Item, status: str) -> Job:
    return {
        "id": item.prompt_id,
        "status": status,
        "priority": item.number,
        "create_time": item.extra_data["create_time"],
        "outputs_count": 0,
        "previewable_outputs_count": 0,
    }


def _past(entry: dict[str, Any]) -> Job:
    number, prompt_id, _, extra, _ = entry["prompt"]
    messages = entry["status"]["messages"]
    kind, last = messages[-1]
    job = {
        "id": prompt_id,
        "status": ENDINGS.get(kind, "completed"),
        "priority": number,
        "create_time": extra["create_time"],
        "execution_start_time": messages[0][1]["timestamp"],
        "execution_end_time": last["timestamp"],
    }
    if kind == "execution_error":
        job["execution_error"] = last
    shown = [
        {**item, "nodeId": node_id, "mediaType": media}
        for node_id, output in entry["outputs"].items()
        for media, items in output.items()
        if media in PREVIEWABLE
        for item in items
    ]
    texts = sum(len(output.get("text", ())) for output in entry["outputs"].values())
    job |= {"outputs_count": len(shown) + texts, "previewable_outputs_count": len(shown)}
    kept = [item for item in shown if item["type"] == "output"] or shown
    if kept:
        job["preview_output"] = kept[0]
    return job
