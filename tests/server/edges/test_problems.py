"""Errors as each door tells them."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx2
import pytest
import structlog
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from safelight.edges.problems import (
    HANDLERS,
    error_body,
    mark_app_form,
    problem,
    socket_error,
    unexpected,
)
from safelight_protocol.codes import CODES, Refused
from tests.doubles.served import served

DETAILS: list[dict[str, object]] = [
    {"field": "input_data.prompt", "found": "nothing", "expected": "a string"},
    {"field": "steps", "found": "0", "expected": "an integer from 1 to 100"},
    {"field": "steps", "found": "0", "expected": "something else"},
    {"field": "mode"},
]
WRONG = Refused("invalid", "Something is wrong.", DETAILS)


def document(response: Response) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(bytes(response.body))
    return body


@pytest.mark.parametrize("name", CODES)
def test_every_code_has_a_document(name: str) -> None:
    """Each code of the table makes a problem document with a status and both spellings."""
    refused = Refused(name, "So it is.")
    native, app = problem(refused), problem(refused, app=True)
    told = document(native)
    assert native.headers["content-type"] == "application/problem+json"
    assert native.headers["cache-control"] == "no-store"
    assert native.status_code == told["status"] >= 400
    assert told["type"] == f"urn:safelight:problem:{name}"
    assert (told["detail"], told["code"], told["success"]) == ("So it is.", name, False)
    assert told["title"] == CODES[name].meaning
    assert told["error"] == {"code": name, "message": "So it is.", "details": []}
    assert document(app)["error"]["code"] == (CODES[name].app or name)
    assert document(app)["code"] == name


def test_native_details_are_a_list() -> None:
    """Native errors list field, found and expected as they are."""
    assert error_body(WRONG) == {
        "code": "invalid",
        "message": "Something is wrong.",
        "details": DETAILS,
    }


def test_the_apps_details_are_messages_by_field() -> None:
    """The app's errors use its own code and its own names of fields."""
    assert error_body(WRONG, app=True) == {
        "code": "VALIDATION_ERROR",
        "message": "Something is wrong.",
        "details": {
            "prompt": ["found nothing, expected a string"],
            "steps": [
                "found 0, expected an integer from 1 to 100",
                "found 0, expected something else",
            ],
            "mode": ["is wrong"],
        },
    }


def test_extra_members_join_but_do_not_replace() -> None:
    """What a refusal adds is in the document, and cannot hide its code."""
    refused = Refused("key_reused", "Taken.", None, task_id="t1", code="nothing")
    told = document(problem(refused))
    assert (told["task_id"], told["code"], told["status"]) == ("t1", "key_reused", 422)
    assert socket_error(refused)["task_id"] == "t1"
    assert socket_error(refused)["code"] == "key_reused"


def test_headers_say_what_to_do() -> None:
    """401 asks for a bearer token, 503 and 429 say when to come back."""
    assert problem(Refused("unauthorized", "Who?")).headers["www-authenticate"] == "Bearer"
    assert problem(Refused("unavailable", "Busy.")).headers["retry-after"] == "1"
    assert problem(Refused("too_many", "Busy.")).headers["retry-after"] == "1"
    assert "retry-after" not in problem(WRONG).headers


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("not_found", "Task not found"),
        ("unmatched_topic", "unmatched topic"),
        ("too_many_channels", "too many channels joined"),
        ("unauthorized", "unauthorized"),
        ("id_conflict", "It differs."),
    ],
)
def test_socket_errors_use_words_that_clients_know(name: str, reason: str) -> None:
    """A socket error has reason, code, message and details."""
    assert socket_error(Refused(name, "It differs.")) == {
        "reason": reason,
        "code": name,
        "message": "It differs.",
        "details": [],
    }


async def refuse(request: Request) -> Response:
    if "app" in request.query_params:
        mark_app_form(request)
    raise WRONG


async def defect(request: Request) -> Response:
    raise KeyError("an inner secret")


async def gone(request: Request) -> Response:
    raise ClientDisconnect


async def odd(request: Request) -> Response:
    raise HTTPException(int(request.query_params["status"]), "so it says", {"x-hint": "h"})


@pytest.fixture
async def client() -> AsyncIterator[httpx2.AsyncClient]:
    routes = [Route("/refuse", refuse), Route("/defect", defect), Route("/odd", odd)]
    routes.append(Route("/gone", gone))
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://test") as made:
        yield made


async def test_a_refusal_is_answered(client: httpx2.AsyncClient) -> None:
    """A handler that refuses is answered with the document, in the form that was asked in."""
    native = await client.get("/refuse")
    assert (native.status_code, native.json()["error"]["code"]) == (400, "invalid")
    app = await client.get("/refuse?app")
    assert (app.status_code, app.json()["error"]["code"]) == (400, "VALIDATION_ERROR")
    assert "prompt" in app.json()["error"]["details"]


async def test_unknown_paths_and_methods_are_documents_too(client: httpx2.AsyncClient) -> None:
    """The router's own refusals have the same shape and keep their headers."""
    missing = await client.get("/nowhere")
    assert (missing.status_code, missing.json()["code"]) == (404, "not_found")
    wrong = await client.post("/refuse")
    assert (wrong.status_code, wrong.json()["code"]) == (405, "method_not_allowed")
    assert "GET" in wrong.headers["allow"]


@pytest.mark.parametrize(
    ("status", "code"), [(413, "too_large"), (400, "invalid"), (418, "invalid"), (502, "internal")]
)
async def test_odd_refusals_of_the_framework_fit_the_table(
    client: httpx2.AsyncClient, status: int, code: str
) -> None:
    """Whatever else the framework raises becomes a code of the table."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    answer = await client.get(f"/odd?status={status}")
    structlog.reset_defaults()
    assert answer.json()["code"] == code
    assert answer.headers["x-hint"] == "h"


async def test_a_bug_is_logged_under_a_reference(client: httpx2.AsyncClient) -> None:
    """A bug is answered with a reference only; the log has it with the traceback."""
    out = io.StringIO()
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(out))
    answer = await client.get("/defect")
    structlog.reset_defaults()
    told = answer.json()
    assert (answer.status_code, told["code"]) == (500, "internal")
    assert told["reference"] in told["detail"]
    assert told["reference"] in out.getvalue()
    assert "an inner secret" in out.getvalue()
    assert "secret" not in answer.text


async def test_a_client_that_goes_in_mid_request_is_no_bug(client: httpx2.AsyncClient) -> None:
    """Its half of a body is dropped and nothing is logged: only bugs are."""
    out = io.StringIO()
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(out))
    answer = await client.get("/gone")
    structlog.reset_defaults()
    assert (answer.status_code, answer.content, out.getvalue()) == (400, b"", "")


def test_two_bugs_have_two_references() -> None:
    """Each reference is fresh."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    references = {unexpected(ValueError()).extra["reference"] for _ in range(3)}
    structlog.reset_defaults()
    assert len(references) == 3


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/api/tasks", "GET, HEAD, POST"),
        ("PATCH", "/api/tasks/x", "DELETE, GET, HEAD"),
        ("GET", "/api/tasks:batch", "POST"),
    ],
)
async def test_a_wrong_method_is_told_the_right_ones(
    method: str, path: str, allowed: str, tmp_path: Path
) -> None:
    """All methods of a path are named, though each has a route of its own."""
    async with served(tmp_path) as house:
        answer = await house.http.request(method, path)
    assert (answer.status_code, answer.headers["allow"]) == (405, allowed)
    assert allowed in answer.json()["detail"]


async def test_a_dropped_upgrade_is_named(tmp_path: Path) -> None:
    """Whoever asks the socket's address without an upgrade learns what a proxy may do."""
    async with served(tmp_path) as house:
        answer = await house.http.get("/socket/websocket")
    assert answer.status_code == 404
    assert "Upgrade" in answer.json()["detail"]
