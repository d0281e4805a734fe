"""What an error of the SDK means for a prediction: refused, may pass, or not to be told.

An answer that is a refusal began nothing, and costs nothing. An answer that is a server's own
trouble, or none at all, says nothing about what began. Words of a vendor are told only where
they are about the request. Pure.
"""

from __future__ import annotations

import re
from typing import Any

from safelight_protocol.prices import Usage

from ..base import Again, Never, Unclear
from ..http import (
    NOTHING,
    Fault,
    fault_of,
    in_doubt,
    no_model,
    of_our_account,
    redacted,
    refusal_of,
    too_large,
)

POLICY = re.compile(r"moderation_blocked|content_policy|content_filter|policy_violation|bio_policy")
NO_CREDIT = frozenset({"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"})
PROMPT = frozenset({"invalid_prompt", "image_content_policy_violation"})
PASSING = frozenset({"server_error", "vector_store_timeout", "overloaded", "server_overloaded"})
"""Codes of a failed run that another attempt may not meet."""

CUT_SHORT = "the text ends at max_tokens"


def of_create(error: Exception, name: str, model: str) -> Again | Never | Unclear:
    """What becomes of a create that ended in this error. Unclear if it may have begun."""
    fault = fault_of(error)
    said = _said(fault.body)
    code = str(said.get("code") or said.get("type") or "")
    if fault.status == 429 and NO_CREDIT & {said.get("code"), said.get("type")}:
        return of_our_account(name, fault, "credit")
    common = refusal_of(fault, name)
    if common is not None:
        return common
    if fault.status is None or fault.status == 408:
        return in_doubt(fault, name)
    if fault.status >= 500:
        return _of_trouble(fault, said, name)
    if fault.status == 404:
        return _not_there(said, name, model)
    if POLICY.search(code) or code in PROMPT:
        return Never("content_refused", f"{name} refuses to make this", charge=NOTHING)
    if fault.status in (409, 425):
        return Again("provider_failed", f"{name}: {fault.why}", fault.wait, charge=NOTHING)
    if fault.status == 413:
        return too_large(name)
    if fault.status < 400 or not said:
        message = f"{name}: {fault.why}, which is no answer of such a server; is its url right?"
        return Never("provider_failed", message, charge=NOTHING)
    return Never("invalid_input", _about_request(said, name), charge=NOTHING)


def of_failure(error: Any, name: str, used: Usage | None = None) -> Again | Never:
    """What a run came to that its provider says has failed, by its `error` object, and by
    what it used, where that is told."""
    said = error if isinstance(error, dict) else {}
    code = str(said.get("code") or said.get("type") or "")
    if POLICY.search(code) or code in PROMPT:
        return Never("content_refused", f"{name} refuses to make this", usage=used)
    if code == "rate_limit_exceeded":
        message = f"{name} takes no more requests for now"
        return Again("throttled", message, usage=used, elsewhere=True)
    message = f"{name} failed: {_words(said)}"
    if code in PASSING or not code:
        return Again("provider_failed", message, usage=used, elsewhere=True)
    if code.startswith(("invalid_", "image_", "unsupported_", "empty_", "failed_to_download")):
        return Never("invalid_input", message, usage=used)
    return Never("provider_failed", message, usage=used)


def of_refusal(words: str, name: str, used: Usage | None) -> Never:
    """A model that declined, in its own words if it used any: it ran, and is paid."""
    why = f": {_words({'message': words})}" if words else ""
    return Never("content_refused", f"{name} declines to write this{why}", usage=used)


def of_silence(name: str, used: Usage | None) -> Never:
    """All tokens that were allowed are spent, on thinking it seems, and none on text."""
    message = f"{name} had spent max_tokens before it wrote anything; allow more"
    return Never("invalid_input", message, usage=used)


def refuses(error: Exception, *names: str) -> bool:
    """Whether a create was refused because of one of these fields, so that nothing began.
    Words of the request may stand in a refusal: the field that it names goes before its text,
    and what a policy stopped is no matter of fields."""
    fault = fault_of(error)
    said = _said(fault.body)
    policy = POLICY.search(f"{said.get('code')} {said.get('type')}")
    if fault.status not in (400, 422, 501) or policy:
        return False
    text = said.get("param") or _places(fault.body) or said.get("message") or fault.body
    return any(re.search(rf"\b{name}\b", str(text)) for name in names)


def _places(body: Any) -> str:
    """The fields that a list of faults is about, as servers in Python tell it."""
    listed = body.get("detail") if isinstance(body, dict) else None
    faults = [one for one in listed if isinstance(one, dict)] if isinstance(listed, list) else []
    return " ".join(str(one.get("loc")) for one in faults)


def _of_trouble(fault: Fault, said: dict[str, Any], name: str) -> Again | Unclear:
    """A server that says to be overloaded has not begun; any other may have."""
    if fault.status in (503, 529) and re.search("overloaded", str(said), re.IGNORECASE):
        message = f"{name} is overloaded"
        return Again("provider_failed", message, fault.wait, charge=NOTHING, elsewhere=True)
    return in_doubt(fault, name)


def _not_there(said: dict[str, Any], name: str, model: str) -> Never:
    if not said:
        message = f"{name} has no such address; is its url right?"
        return Never("provider_failed", message, charge=NOTHING)
    return no_model(name, model)


def _about_request(said: dict[str, Any], name: str) -> str:
    if said.get("code") in ("context_length_exceeded", "string_above_max_length"):
        return f"{name}: the prompt is longer than the model takes"
    param = said.get("param")
    about = f" {param}" if isinstance(param, str) and param else " the request"
    return f"{name} does not take{about}: {_words(said)}"


def _words(said: dict[str, Any]) -> str:
    return redacted(said.get("message") or said.get("code") or "no reason given")


def _said(body: Any) -> dict[str, Any]:
    """The error object of an answer, whichever of the usual shapes it has."""
    if not isinstance(body, dict):
        return {}
    error = body.get("error", body)
    if isinstance(error, str):
        return {"message": error}
    if isinstance(error, dict) and ("message" in error or "code" in error):
        return {**error, "code": None if error.get("code") is None else str(error["code"])}
    return {"message": body["detail"]} if isinstance(body.get("detail"), str) else {}
