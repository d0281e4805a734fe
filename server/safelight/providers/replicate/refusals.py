"""What an answer to a create means that is no success, in words of ours.

What may have begun something is Unclear and looked up; all else certainly began nothing and
cost nothing. No text of Replicate's is told on but the names of fields, as the caller knows
them. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ..base import Again, Never, Unclear
from ..http import NOTHING, Fault, Trouble, in_doubt, redacted, refusal_of, too_large

MOST_FIELDS = 5

WORDS = {
    "required": "a value",
    "enum": "one of the model's choices",
    "additional_property_not_allowed": "nothing: there is no such field",
    "number_lte": "less",
    "number_gte": "more",
    "invalid_type": "another type",
}
"""What the kinds of a field's trouble mean; what they say themselves is told where it is
about the field alone."""


def of_create(trouble: Trouble, provider: str, names: Mapping[str, str]) -> Again | Never | Unclear:
    """The outcome of a create that was not answered with a prediction. `names` is what the
    caller calls the model's fields."""
    fault = trouble.fault
    known = refusal_of(fault, provider)
    if known is not None:
        return known
    match fault.status:
        case None | 408 | 409 | 425:
            return in_doubt(fault, provider)
        case int(status) if status >= 500 or status < 400:
            return in_doubt(fault, provider)
        case 404:
            return _no_model()
        case 413:
            return too_large(provider)
        case 400 | 422:
            return _of_fields(fault, names)
    return Never("provider_failed", f"the provider answered {fault.status}", charge=NOTHING)


def of_question(trouble: Trouble, provider: str) -> Again | Never:
    """The outcome where something had to be asked or handed over before the create, and could
    not: nothing was begun."""
    fault = trouble.fault
    known = refusal_of(fault, provider)
    if known is not None:
        return known
    if fault.status == 413:
        return too_large(provider)
    message = f"{provider} cannot be asked now: {fault.why}"
    return Again("provider_unreachable", message, fault.wait, charge=NOTHING, elsewhere=True)


def no_model(model: str) -> Never:
    """There is none of that name, or not for us."""
    message = f"the provider has no model {model}, or not for this server's key"
    return Never("model_not_found", message, charge=NOTHING, elsewhere=True)


def _no_model() -> Never:
    message = "the provider has no such model or version, or not for this server's key"
    return Never("model_not_found", message, charge=NOTHING, elsewhere=True)


def _of_fields(fault: Fault, names: Mapping[str, str]) -> Never:
    """Fields that the model does not take, or no model at all."""
    fields = fault.body.get("invalid_fields") if isinstance(fault.body, dict) else None
    listed = fields if isinstance(fields, list) else []
    said = [_of_field(one, names) for one in listed if isinstance(one, dict)]
    if not said:
        if isinstance(fault.body, dict) and "version" in str(fault.body.get("title", "")).lower():
            return _no_model()
        return Never("invalid_input", "the model does not take this input", charge=NOTHING)
    return Never("invalid_input", "; ".join(said[:MOST_FIELDS]), charge=NOTHING)


def _of_field(one: dict[str, Any], names: Mapping[str, str]) -> str:
    """`params.steps: Must be less than or equal to 4`."""
    field = str(one.get("field", "")).removeprefix("input").removeprefix(".")
    name = names.get(field) or (f"params.{field}" if field else "params")
    description = redacted(one.get("description") or "")
    expected = WORDS.get(str(one.get("type")), "another value")
    return f"{name}: {description or f'{expected} is expected'}"
