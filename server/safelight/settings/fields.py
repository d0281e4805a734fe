"""The settings themselves: their names, what each may be, and their defaults.

Owns `Settings` and, for one named backend or provider, `BackendSettings` and
`ProviderSettings`. Knows nothing of where
values come from. The description in a type is what a refusal says is expected.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_type_hints

import msgspec
from msgspec import Meta

from .address import normal_url

MEBIBYTE = 1024 * 1024
PREFIX = "SAFELIGHT_"

Word = Annotated[str, Meta(min_length=1, description="a string that is not empty")]
Port = Annotated[int, Meta(ge=0, le=65535, description="a port from 0 (any free one) to 65535")]
Owner = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_.@-]{1,64}\Z", description="1 to 64 of A-Z a-z 0-9 _ . @ -"),
]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="an integer from 1 to 1000000")]
Few = Annotated[int, Meta(ge=1, le=64, description="an integer from 1 to 64")]
Size = Annotated[int, Meta(ge=1024, le=2**40, description="a number of bytes, 1024 or more")]
Factor = Annotated[float, Meta(ge=1, le=1000, description="a number from 1 to 1000")]
Weight = Annotated[float, Meta(ge=0.01, le=1000, description="a number from 0.01 to 1000")]
Weights = Annotated[
    dict[Owner, Weight],
    Meta(
        description="a table of owner = number from 0.01 to 1000; in a variable owner:number,"
        " separated by commas"
    ),
]
Quality = Annotated[int, Meta(ge=1, le=100, description="an integer from 1 to 100")]
Seconds = Annotated[float, Meta(ge=0, le=3e9, description="a number of seconds, 0 or more")]
Dollars = Annotated[
    float, Meta(ge=0, le=1_000_000, description="US dollars, 0 or more, with at most six decimals")
]
Budgets = Annotated[
    dict[Owner, Dollars],
    Meta(
        description="a table of owner = US dollars, 0 or more, with at most six decimals; in a"
        " variable owner:dollars, separated by commas"
    ),
]
Span = Annotated[float, Meta(gt=0, le=3e9, description="a number of seconds above 0")]
Url = Annotated[
    str,
    Meta(
        pattern=r"^https?://[^/\s?#@]+(/[^\s?#]*)?\Z",
        description="an http or https address without a query",
    ),
]
Origin = Annotated[
    str,
    Meta(
        pattern=r"^(\*|null|[a-z][a-z0-9+.-]*://[^/\s]+)\Z",
        description='an origin such as "https://app.example", "null" or "*"',
    ),
]
S3Url = Annotated[
    str,
    Meta(
        pattern=r"^s3://[A-Za-z0-9][A-Za-z0-9._-]+(/[A-Za-z0-9._/-]*)?\Z",
        description="an address like s3://bucket or s3://bucket/prefix",
    ),
]
BackendUrl = Annotated[
    str,
    Meta(
        pattern=r"^[hH][tT][tT][pP][sS]?://[^/\s?#@]+(/[^\s?#]*)?\Z",
        description="an http or https address without a query; credentials go into token or"
        " headers",
    ),
]
BackendName = Annotated[
    str,
    Meta(
        pattern=r"^[a-z][a-z0-9_-]{0,31}\Z",
        description="1 to 32 of a-z 0-9 _ -, the first of them a letter",
    ),
]
Secret = Annotated[
    str, Meta(pattern=r"^[!-~]+\Z", description="visible ASCII characters without a space")
]
HeaderName = Annotated[
    str, Meta(pattern=r"^[A-Za-z0-9!#$%&'*+.^_`|~-]+\Z", description="the name of a header")
]
HeaderValue = Annotated[
    str, Meta(pattern=r"^[!-~]([ -~]*[!-~])?\Z", description="visible ASCII characters")
]
Headers = Annotated[
    dict[HeaderName, HeaderValue],
    Meta(description='a table of header = "value"; in a variable, a JSON object'),
]


class Discreet(msgspec.Struct, frozen=True):
    """Whose repr has no secret in it, wherever that is printed."""

    def __repr__(self) -> str:
        told = [
            f"{name}={'*****' if name in SECRET and value else repr(value)}"
            for name, value in msgspec.structs.asdict(self).items()
        ]
        return f"{type(self).__name__}({', '.join(told)})"


class BackendSettings(Discreet, frozen=True, kw_only=True):
    """One named place where a provider's predictions run: `[backends.<name>]`.

    `url` is brought to its normal form. `token` is sent as a bearer token, `headers`
    with every request. `concurrency` counts the predictions of ours there at once;
    `timeout_seconds` is for one answer, `view_timeout_seconds` for one file;
    `max_frame_bytes` is the largest message on its socket, where whole pictures come, too.
    """

    type: Literal["comfyui"] = "comfyui"
    url: BackendUrl
    label: Word | None = None
    token: Secret | None = None
    headers: Headers = {}
    concurrency: Few = 2
    timeout_seconds: Span = 10.0
    view_timeout_seconds: Span = 120.0
    max_frame_bytes: Size = 256 * MEBIBYTE

    def __post_init__(self) -> None:
        msgspec.structs.force_setattr(self, "url", normal_url(self.url))


ProviderType = Literal["replicate", "openai", "anthropic", "gemini", "superduperai"]


class ProviderSettings(Discreet, frozen=True, kw_only=True):
    """One provider that is asked over the network: `[providers.<name>]`.

    `type` is what it speaks, its own name unless given: so there may be several of one type,
    and models are said to run at the name. `key` is what it knows us by. `concurrency` counts
    the predictions of ours there at once. `request_seconds` is for one answer,
    `silence_seconds` for a stream that says nothing. `api` is which of OpenAI's two writes
    text.
    """

    type: ProviderType | None = None
    url: Url | None = None
    key: Secret | None = None
    concurrency: Few = 4
    request_seconds: Span = 60.0
    silence_seconds: Span = 120.0
    webhook_secret: Secret | None = None
    api: Literal["responses", "chat"] | None = None


class Settings(Discreet, frozen=True, kw_only=True):
    """Every setting; None switches one off.

    `tokens` maps each bearer token to its owner. Without any there is one owner,
    `local`, for callers on this machine, unless `anonymous_owner` names one for
    everybody. `attempts` counts predictions per task, `tail_events` the encoded
    events held in memory per task, `local_concurrency` the processes that paint.
    `backends` are by name, and so are `providers`; `unreachable` is what becomes of a request
    for a backend that does not answer.
    """

    host: Word = "127.0.0.1"
    port: Port = 4747
    data_dir: Word = "data"
    public_url: Url | None = None
    tokens: dict[str, Owner] = {}
    anonymous_owner: Owner | None = None
    allowed_origins: tuple[Origin, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    log_format: Literal["console", "json"] = "console"
    max_body_bytes: Size = MEBIBYTE
    max_frame_bytes: Size = MEBIBYTE
    max_artifact_bytes: Size = 256 * MEBIBYTE
    fetch_tries: Few = 5
    fetch_seconds: Span = 120.0
    thumbnail_quality: Quality | None = 75
    png_text: bool = True
    max_upload_bytes: Size = 64 * MEBIBYTE
    upload_quota_bytes: Size = 1024 * MEBIBYTE
    storage: Literal["disk", "s3"] = "disk"
    s3_url: S3Url | None = None
    s3_region: Word | None = None
    s3_endpoint: Url | None = None
    s3_key_id: Secret | None = None
    s3_secret: Secret | None = None
    attempts: Few = 3
    max_losses: Few = 10
    retry_base_seconds: Seconds = 1.0
    retry_max_seconds: Seconds = 60.0
    attempt_timeout_seconds: Span = 600.0
    deadline_factor: Factor = 4.0
    deadline_floor_seconds: Span = 120.0
    breaker_faults: Few = 5
    breaker_seconds: Span = 30.0
    task_timeout_seconds: Span = 86_400.0
    cancel_timeout_seconds: Span = 30.0
    generate_wait_seconds: Seconds = 50.0
    drain_seconds: Seconds = 10.0
    settle_seconds: Seconds = 30.0
    slow_reader_seconds: Span = 30.0
    request_seconds: Span = 30.0
    max_connections: Count | None = None
    longpoll_seconds: Span = 10.0
    longpoll_sessions: Count = 100
    log_retention_seconds: Seconds | None = 7 * 86_400.0
    task_retention_seconds: Seconds | None = None
    artifact_retention_seconds: Seconds | None = None
    upload_retention_seconds: Seconds | None = None
    delivery_retention_seconds: Seconds | None = 30 * 86_400.0
    tail_events: Count = 1024
    local_concurrency: Few = 2
    local_pace_seconds: Seconds = 0.12
    scripted: bool = False
    models_file: Word | None = None
    workflows_dir: Word | None = None
    backends: dict[BackendName, BackendSettings] = {}
    default_backend: BackendName | None = None
    unreachable: Literal["refuse", "queue"] = "refuse"
    backend_check_seconds: Span = 2.0
    providers: dict[BackendName, ProviderSettings] = {}
    webhook_seconds: Span = 20.0
    webhook_allow_private: bool = False
    budget_per_day: Dollars | None = None
    budgets: Budgets = {}
    weights: Weights = {}


NAMES = Settings.__struct_fields__
TYPES: dict[str, Any] = get_type_hints(Settings, include_extras=True)
SECRET = {"tokens", "token", "headers", "s3_key_id", "s3_secret", "key", "webhook_secret"}
"""Fields whose values are never repeated."""
