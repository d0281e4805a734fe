"""Refusals in OpenAI's words and shapes: `{"error": {message, type, param, code}}`.

A handler raises Refusal with the answer in it; whoever has the routes answers with it. The
SDK chooses its exception by the status alone, a program chooses by `code`.
"""

from __future__ import annotations

import math

from starlette.responses import HTMLResponse, Response

from ..desk import Refusal
from ..faults import Fault
from ..telling import as_json


def body(
    message: str,
    code: str | None = None,
    param: str | None = None,
    type: str = "invalid_request_error",
) -> dict[str, object]:
    """The JSON of an error."""
    return {"error": {"message": message, "type": type, "param": param, "code": code}}


def invalid(message: str, param: str | None = None, code: str | None = "invalid_value") -> Refusal:
    """400: something in the request is not as it must be."""
    return Refusal(as_json(body(message, code, param), 400))


def missing(param: str) -> Refusal:
    """400: a parameter that must be there is not."""
    return invalid(f"Missing required parameter: '{param}'.", param, "missing_required_parameter")


def unknown(param: str) -> Refusal:
    """400: a parameter that nobody knows here."""
    return invalid(f"Unknown parameter: '{param}'.", param, "unknown_parameter")


def wrong_type(param: str, wanted: str, found: object) -> Refusal:
    """400: a parameter of another JSON type."""
    name = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    got = name.get(type(found), "number")
    message = f"Invalid type for '{param}': expected {wanted}, but got {got} instead."
    return invalid(message, param, "invalid_type")


def no_model(model: str) -> Refusal:
    """404: it is not there, never was, or is not any more."""
    message = f"The model '{model}' does not exist or you do not have access to it."
    return Refusal(as_json(body(message, "model_not_found"), 404))


def not_found(message: str) -> Refusal:
    """404: what an id named is not there, or not any more."""
    return Refusal(as_json(body(message), 404))


def no_key(shown: str | None) -> Refusal:
    """401: no key, or one that is not right; of that only the ends are shown."""
    if shown is None:
        message = "You didn't provide an API key."
        return Refusal(as_json(body(message), 401))
    message = f"Incorrect API key provided: {shown[:4]}***{shown[-2:]}."
    return Refusal(as_json(body(message, "invalid_api_key"), 401))


def picture_blocked() -> dict[str, object]:
    """What is said of a picture that is not allowed."""
    message = "Your request was rejected by the safety system."
    return body(message, "moderation_blocked", type="image_generation_user_error")


def prompt_blocked() -> Refusal:
    """400: a text is not wanted that the prompt asks for."""
    message = "Invalid prompt: your prompt was flagged as potentially violating our usage policy."
    return invalid(message, None, "invalid_prompt")


def gateway_timeout() -> Response:
    """What a proxy before the real one says when it has waited long enough."""
    text = "<html><head><title>504 Gateway Time-out</title></head><body></body></html>"
    return HTMLResponse(text, 504)


def failed(status: int = 500) -> dict[str, object]:
    """What is said when it is the server's own fault."""
    words = {
        500: "The server had an error while processing your request. Sorry about that!",
        503: "The engine is currently overloaded, please try again later.",
    }
    return body(words.get(status, words[500]), "server_error", type="server_error")


def struck(fault: Fault) -> Response:
    """What is said when a fault of a request strikes, before anything begins."""
    match fault.name:
        case "throttle":
            return _throttled(fault.seconds(1.0))
        case "unauthorized":
            return no_key("sk-refused-by-fault").response
        case "no-credit":
            message = "You exceeded your current quota, please check your plan and billing details."
            code = "insufficient_quota"
            return as_json(body(message, code, type=code), 429)
        case _:
            status = int(fault.name.removeprefix("http-"))
            return as_json(failed(status), status)


def _throttled(seconds: float) -> Response:
    message = f"Rate limit reached for requests. Please try again in {seconds:g}s."
    headers = {
        "retry-after": str(math.ceil(seconds)),
        "retry-after-ms": str(round(seconds * 1000)),
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": f"{seconds:g}s",
    }
    return as_json(body(message, "rate_limit_exceeded", type="requests"), 429, headers)
