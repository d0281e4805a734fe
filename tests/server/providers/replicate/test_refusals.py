"""What answers to a create mean that are no success, by bodies as Replicate sends them."""

from __future__ import annotations

import json
from typing import Any

import httpx2
import pytest

from safelight.providers.base import Again, Never, Unclear
from safelight.providers.http import Trouble, fault_in, fault_of
from safelight.providers.replicate.refusals import of_create, of_question

CREDIT = "You have insufficient credit to run this model. Go to https://vendor.example/billing"
VERSION = {"title": "Invalid version or not permitted", "detail": "The specified version …"}
FIELDS = {
    "title": "Input validation failed",
    "detail": "- input: prompt is required\n",
    "invalid_fields": [
        {"type": "required", "field": "input", "description": "prompt is required"},
        {
            "type": "number_lte",
            "field": "input.num_inference_steps",
            "description": "Must be less than or equal to 4",
        },
        {"type": "enum", "field": "input.go"},
    ],
}


def answered(status: int, body: Any = None) -> Trouble:
    """The trouble of an answer."""
    return Trouble(fault_in(status, {}, json.dumps(body).encode()))


@pytest.mark.parametrize(
    ("trouble", "type_", "code"),
    [
        (answered(401, {"title": "Unauthenticated"}), Never, "provider_refused"),
        (answered(402, {"detail": CREDIT}), Never, "provider_refused"),
        (answered(403), Never, "provider_refused"),
        (answered(404, {"detail": "…"}), Never, "model_not_found"),
        (answered(413), Never, "too_large"),
        (answered(422, VERSION), Never, "model_not_found"),
        (answered(422, FIELDS), Never, "invalid_input"),
        (answered(422, "odd"), Never, "invalid_input"),
        (answered(422, {"invalid_fields": 5}), Never, "invalid_input"),
        (answered(400), Never, "invalid_input"),
        (answered(418), Never, "provider_failed"),
        (answered(429, {"retry_after": 7}), Again, "throttled"),
        (answered(500), Unclear, None),
        (answered(503), Unclear, None),
        (answered(408), Unclear, None),
        (answered(302), Unclear, None),
        (Trouble(fault_of(httpx2.ReadTimeout("x"))), Unclear, None),
        (Trouble(fault_of(httpx2.ConnectError("x"))), Again, "provider_unreachable"),
    ],
)
def test_creates(trouble: Trouble, type_: type, code: str | None) -> None:
    """What certainly began nothing is told apart from what may have, and is free."""
    outcome = of_create(trouble, "replicate", {})
    assert type(outcome) is type_ and getattr(outcome, "code", None) == code
    assert "billing" not in outcome.message
    if not isinstance(outcome, Unclear):
        assert isinstance(outcome, Again | Never)
        assert outcome.charge is not None and outcome.charge.verdict == "free"


def test_fields_have_the_callers_names() -> None:
    """Fields are named as the caller named them."""
    outcome = of_create(answered(422, FIELDS), "replicate", {"num_inference_steps": "params.steps"})
    assert outcome.message == (
        "params: prompt is required; params.steps: Must be less than or equal to 4;"
        " params.go: one of the model's choices is expected"
    )


@pytest.mark.parametrize(
    ("trouble", "type_", "code"),
    [
        (answered(401), Never, "provider_refused"),
        (answered(413), Never, "too_large"),
        (answered(500), Again, "provider_unreachable"),
        (Trouble(fault_of(httpx2.ReadTimeout("x"))), Again, "provider_unreachable"),
    ],
)
def test_questions(trouble: Trouble, type_: type, code: str) -> None:
    """A question before the create began nothing, whatever became of it."""
    outcome = of_question(trouble, "replicate")
    assert type(outcome) is type_ and outcome.code == code
    assert outcome.charge is not None and outcome.charge.verdict == "free"
