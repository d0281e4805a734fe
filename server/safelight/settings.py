"""Settings, read once: defaults, one TOML file, SAFELIGHT_* environment, arguments.

The only module that reads the environment (it is handed in by whoever starts the
process). Knows what each setting may be, not what it is for. Each source overrides
the one before it; `Loaded` says which won, for `safelight settings`. The settings
are the fields of `Settings`, named with their units; docs/operations.md tells more.
"""

from __future__ import annotations

import difflib
import ipaddress
import tomllib
import types
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import Meta

from safelight_protocol.identity import shown

MEBIBYTE = 1024 * 1024
FILE = "safelight.toml"
PREFIX = "SAFELIGHT_"

Source = Literal["default", "file", "environment", "argument"]


class SettingsError(Exception):
    """A setting that cannot be; the message names it, what was found and what is expected."""


# The description is what an error message says is expected.
Word = Annotated[str, Meta(min_length=1, description="a string that is not empty")]
Port = Annotated[int, Meta(ge=0, le=65535, description="a port from 0 (any free one) to 65535")]
Owner = Annotated[
    str,
    Meta(pattern=r"^[A-Za-z0-9_.@-]{1,64}\Z", description="1 to 64 of A-Z a-z 0-9 _ . @ -"),
]
Count = Annotated[int, Meta(ge=1, le=1_000_000, description="an integer from 1 to 1000000")]
Few = Annotated[int, Meta(ge=1, le=64, description="an integer from 1 to 64")]
Size = Annotated[int, Meta(ge=1024, le=2**40, description="a number of bytes, 1024 or more")]
Seconds = Annotated[float, Meta(ge=0, le=3e9, description="a number of seconds, 0 or more")]
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


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting; None switches one off.

    `tokens` maps each bearer token to its owner. Without any there is one owner,
    `local`, for callers on this machine, unless `anonymous_owner` names one for
    everybody. `attempts` counts predictions per task, `tail_events` the encoded
    events held in memory per task, `local_concurrency` the processes that paint.
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
    attempts: Few = 3
    max_losses: Few = 10
    retry_base_seconds: Seconds = 1.0
    retry_max_seconds: Seconds = 60.0
    attempt_timeout_seconds: Span = 600.0
    task_timeout_seconds: Span = 86_400.0
    cancel_timeout_seconds: Span = 30.0
    generate_wait_seconds: Seconds = 50.0
    drain_seconds: Seconds = 10.0
    slow_reader_seconds: Span = 30.0
    request_seconds: Span = 30.0
    max_connections: Count | None = None
    longpoll_seconds: Span = 10.0
    longpoll_sessions: Count = 100
    log_retention_seconds: Seconds | None = 7 * 86_400.0
    task_retention_seconds: Seconds | None = None
    tail_events: Count = 1024
    local_concurrency: Few = 2
    local_pace_seconds: Seconds = 0.12
    scripted: bool = False


NAMES = Settings.__struct_fields__
_TYPES: dict[str, Any] = get_type_hints(Settings, include_extras=True)


class Loaded(msgspec.Struct, frozen=True):
    """Settings, where each came from, and which lower sources it overrides.

    `file` is the file that was read, None without one.
    """

    settings: Settings
    sources: dict[str, Source]
    overridden: dict[str, tuple[Source, ...]]
    file: Path | None


class Line(msgspec.Struct, frozen=True):
    """One setting as `safelight settings` prints it; secrets are masked."""

    name: str
    value: str
    source: Source
    overridden: tuple[Source, ...]


class Remote(msgspec.Struct, frozen=True):
    """The server that the command line speaks to, and the token it shows there."""

    url: str = "http://127.0.0.1:4747"
    token: str | None = None


def load(path: str | None, environ: Mapping[str, str], overrides: Mapping[str, Any]) -> Loaded:
    """Read all sources. Raises SettingsError.

    The file is `path`, else SAFELIGHT_CONFIG, else safelight.toml in the working
    directory if there is one; a file that is named must exist. A variable that is
    empty, or an override that is None, counts as not given.
    """
    file = _find_file(path, environ)
    layers: list[tuple[Source, dict[str, Any]]] = [
        ("file", {} if file is None else _read_file(file)),
        ("environment", _read_environment(environ)),
        ("argument", _read_arguments(overrides)),
    ]
    values: dict[str, Any] = {}
    given: dict[str, list[Source]] = {}
    for source, layer in layers:
        values |= layer
        for name in layer:
            given.setdefault(name, []).append(source)
    settings = Settings(**values)
    _check_together(settings)
    sources: dict[str, Source] = {name: given.get(name, ["default"])[-1] for name in NAMES}
    overridden = {name: tuple(by[:-1]) for name, by in given.items() if len(by) > 1}
    return Loaded(settings, sources, overridden, file)


def lines(loaded: Loaded) -> list[Line]:
    """Every setting with its source, in the order of `Settings`; tokens are not shown."""
    made = []
    for name in NAMES:
        value = getattr(loaded.settings, name)
        text = _masked(value) if name == "tokens" else shown(value)
        made.append(Line(name, text, loaded.sources[name], loaded.overridden.get(name, ())))
    return made


def load_remote(environ: Mapping[str, str], url: str | None, token: str | None) -> Remote:
    """SAFELIGHT_URL and SAFELIGHT_TOKEN, unless given as arguments. Raises SettingsError."""
    chosen = url or environ.get(PREFIX + "URL") or Remote().url
    address: str = _convert("url", chosen.rstrip("/"), Url, PREFIX + "URL or --url", lax=False)
    return Remote(address, token or environ.get(PREFIX + "TOKEN") or None)


@lru_cache(maxsize=256)
def is_loopback(host: str) -> bool:
    """Whether a host name or address (without port) can only mean this machine."""
    name = host.strip("[]").rstrip(".").lower()
    try:
        address = ipaddress.ip_address(name)
        return (getattr(address, "ipv4_mapped", None) or address).is_loopback
    except ValueError:
        return name == "localhost" or name.endswith(".localhost")


_ELSEWHERE = {"CONFIG", "URL", "TOKEN"}
"""Variables with our prefix that are no settings of the server."""


def _find_file(path: str | None, environ: Mapping[str, str]) -> Path | None:
    named = path or environ.get(PREFIX + "CONFIG")
    file = Path(named or FILE)
    if file.is_file():
        return file
    if named:
        raise SettingsError(f"{named}: there is no such settings file")
    return None


def _read_file(file: Path) -> dict[str, Any]:
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as trouble:
        raise SettingsError(f"{file} cannot be read: {trouble}") from None
    for name in table:
        if name not in NAMES:
            raise _unknown(name, NAMES, str(file))
    return {name: _from_toml(name, value, str(file)) for name, value in table.items()}


def _from_toml(name: str, value: Any, where: str) -> Any:
    if name != "tokens":
        return _convert(name, value, _TYPES[name], where, lax=False)
    pairs = []
    for owner, held in _convert(name, value, dict[str, str | list[str]], where, lax=False).items():
        pairs += [(owner, token) for token in ([held] if isinstance(held, str) else held)]
    return _tokens(pairs, where)


def _read_environment(environ: Mapping[str, str]) -> dict[str, Any]:
    known = {PREFIX + name.upper(): name for name in NAMES}
    values = {}
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in _ELSEWHERE or not text:
            continue
        if variable not in known:
            raise _unknown(variable, tuple(known), "the environment")
        values[known[variable]] = _from_text(known[variable], text, variable)
    return values


def _from_text(name: str, text: str, variable: str) -> Any:
    """One variable: lists are separated by commas, `none` switches a setting off."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    if name == "tokens":
        pairs = [item.partition(":") for item in items]
        if not all(token for _, _, token in pairs):
            raise _wrong(name, "*****", "owner:token, separated by commas", variable)
        return _tokens([(owner, token) for owner, _, token in pairs], variable)
    type_ = _TYPES[name]
    if get_origin(type_) is tuple:
        return _convert(name, items, type_, variable, lax=True)
    if text.lower() == "none" and type(None) in get_args(type_):
        return None
    return _convert(name, text, type_, variable, lax=True)


def _read_arguments(overrides: Mapping[str, Any]) -> dict[str, Any]:
    values = {}
    for name, value in overrides.items():
        if name not in NAMES:
            raise _unknown(name, NAMES, "the arguments")
        if value is not None:
            values[name] = _convert(name, value, _TYPES[name], "the arguments", lax=True)
    return values


def _tokens(pairs: list[tuple[str, str]], where: str) -> dict[str, str]:
    """Token to owner. What was found is never told: it could be a token."""
    made: dict[str, str] = {}
    for owner, token in pairs:
        _convert("tokens", owner, Owner, where, lax=False)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            expected = f"visible ASCII characters for {owner}"
            raise _wrong("tokens", "*****", expected, where)
        if made.setdefault(token, owner) != owner:
            raise _wrong("tokens", f"one token of {made[token]} and {owner}", "one owner", where)
    return made


def _check_together(settings: Settings) -> None:
    """What one setting alone cannot get wrong."""
    open_to_all = settings.anonymous_owner is not None
    if settings.tokens and open_to_all:
        raise SettingsError("anonymous_owner: found beside tokens, expected only without tokens")
    if not settings.tokens and not open_to_all and not is_loopback(settings.host):
        raise SettingsError(
            f"host: found {shown(settings.host)} without tokens, expected a loopback address"
            " such as 127.0.0.1, or [tokens], or anonymous_owner set on purpose"
        )
    if settings.retry_max_seconds < settings.retry_base_seconds:
        raise SettingsError(
            f"retry_max_seconds: found {settings.retry_max_seconds}, expected"
            f" retry_base_seconds ({settings.retry_base_seconds}) or more"
        )


def _convert(name: str, value: Any, type_: Any, where: str, *, lax: bool) -> Any:
    try:
        return msgspec.convert(value, type_, strict=not lax)
    except msgspec.ValidationError:
        found = "*****" if name == "tokens" else shown(value)
        raise _wrong(name, found, _expected(type_), where) from None


def _wrong(name: str, found: str, expected: str, where: str) -> SettingsError:
    return SettingsError(f"{name}: found {found}, expected {expected} ({where})")


def _unknown(name: str, known: tuple[str, ...], where: str) -> SettingsError:
    """The value is not told: it could be a token under a misspelt name."""
    near = difflib.get_close_matches(name, known, n=1)
    expected = f"{near[0]}?" if near else f"one of {', '.join(known)}"
    return _wrong(name, "an unknown setting", expected, where)


def _expected(type_: Any) -> str:
    """In words, what a setting of this type takes."""
    origin, inner = get_origin(type_), get_args(type_)
    if origin is Annotated:
        return next(str(meta.description) for meta in inner if isinstance(meta, Meta))
    if origin in (Union, types.UnionType):
        return " or ".join(_expected(one) for one in inner if one is not type(None)) + ", or none"
    if origin is tuple:
        return f"a list, each of it {_expected(inner[0])}"
    if origin is Literal:
        return "one of " + ", ".join(inner)
    return _PLAIN.get(origin or type_, "a string")


_PLAIN = {bool: "true or false", dict: 'a table of owner = "token" or owner = ["token", …]'}


def _masked(tokens: dict[str, str]) -> str:
    owners = list(tokens.values())
    counted = [f"{owner} ({owners.count(owner)})" for owner in dict.fromkeys(owners)]
    return ", ".join(counted) or "none"
