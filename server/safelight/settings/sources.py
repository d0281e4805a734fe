"""Where settings come from, and which source wins.

One file, the environment and the arguments are read into values by name, each checked
where it stands, so that a refusal names its source. Then the values are laid one over
the other, and what no single source can get wrong is checked.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import msgspec

from safelight_protocol.identity import shown
from safelight_protocol.prices import micros_of

from .address import is_loopback
from .backends import BACKENDS, check_backends
from .fields import NAMES, PREFIX, TYPES, Owner, Settings, Url
from .named import Named
from .providers import PROVIDERS, check_providers
from .words import MASK, SettingsError, converted, unknown, wrong

FILE = "safelight.toml"

NAMED: tuple[Named[Any], ...] = (BACKENDS, PROVIDERS)
"""The tables whose entries have names of their own."""

Source = Literal["default", "file", "environment", "argument"]


class Loaded(msgspec.Struct, frozen=True):
    """Settings, where each came from, and which lower sources it overrides.

    `file` is the file that was read, None without one. A field of a backend is named
    as in `backends.kerniegen.url`; there is a source for each that was given.
    """

    settings: Settings
    sources: dict[str, Source]
    overridden: dict[str, tuple[Source, ...]]
    file: Path | None


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
    from_file = {} if file is None else _read_file(file)
    layers: list[tuple[Source, dict[str, Any]]] = [
        ("file", from_file),
        ("environment", _read_environment(environ, from_file)),
        ("argument", _read_arguments(overrides)),
    ]
    values: dict[str, Any] = {}
    given: dict[str, list[Source]] = {}
    for source, layer in layers:
        values |= layer
        for name in layer:
            given.setdefault(name, []).append(source)
    settings = _settings(values)
    _check_together(settings)
    sources: dict[str, Source] = dict.fromkeys(NAMES, "default")
    sources |= {name: by[-1] for name, by in given.items()}
    overridden = {name: tuple(by[:-1]) for name, by in given.items() if len(by) > 1}
    return Loaded(settings, sources, overridden, file)


def load_remote(environ: Mapping[str, str], url: str | None, token: str | None) -> Remote:
    """SAFELIGHT_URL and SAFELIGHT_TOKEN, unless given as arguments. Raises SettingsError."""
    chosen = url or environ.get(PREFIX + "URL") or Remote().url
    address: str = converted("url", chosen.rstrip("/"), Url, PREFIX + "URL or --url", lax=False)
    return Remote(address, token or environ.get(PREFIX + "TOKEN") or None)


_ELSEWHERE = {"CONFIG", "URL", "TOKEN"}
"""Variables with our prefix that are no settings of the server."""


def _settings(values: Mapping[str, Any]) -> Settings:
    plain = {name: value for name, value in values.items() if name in NAMES}
    for named in NAMED:
        plain[named.table] = named.assembled(values)
    return Settings(**plain)


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
            raise unknown(name, NAMES, str(file))
    values: dict[str, Any] = {}
    for named in NAMED:
        values |= named.read_tables(table.pop(named.table, {}), str(file))
    return values | {name: _from_toml(name, value, str(file)) for name, value in table.items()}


def _from_toml(name: str, value: Any, where: str) -> Any:
    if name != "tokens":
        return converted(name, value, TYPES[name], where, lax=False)
    pairs = []
    table = dict[str, str | list[str]]
    for owner, held in converted(name, value, table, where, lax=False).items():
        pairs += [(owner, token) for token in ([held] if isinstance(held, str) else held)]
    return _tokens(pairs, where)


def _read_environment(environ: Mapping[str, str], below: Mapping[str, Any]) -> dict[str, Any]:
    """`below` is what the file gave: what it names is known by that."""
    tables = {named.table for named in NAMED}
    known = {PREFIX + name.upper(): name for name in NAMES if name not in tables}
    values = {}
    for variable, text in environ.items():
        name = variable.removeprefix(PREFIX)
        if name == variable or name in _ELSEWHERE or not text:
            continue
        named = next((one for one in NAMED if variable.startswith(one.variable.rstrip("_"))), None)
        if named is not None:
            there = sorted({field.split(".")[1] for field in below if named.owns(field)})
            field, value = named.read_variable(variable, text, there)
            values[field] = value
        elif variable in known:
            values[known[variable]] = _from_text(known[variable], text, variable)
        else:
            raise _unknown_variable(variable, known)
    return values


def _unknown_variable(variable: str, known: Iterable[str]) -> SettingsError:
    """The refusal of one, by the nearest there is: of a field of a named thing, its table."""
    tables = [one.variable for one in NAMED]
    near = difflib.get_close_matches(variable.partition("__")[0] + "__", tables, n=1)
    if "__" in variable and near:
        expected = f"{near[0]}<NAME>__<FIELD>?"
        return wrong(variable, "an unknown setting", expected, "the environment")
    return unknown(variable, tuple(known), "the environment")


def _from_text(name: str, text: str, variable: str) -> Any:
    """One variable: lists are separated by commas, `none` switches a setting off."""
    items = [item.strip() for item in text.split(",") if item.strip()]
    if name == "tokens":
        pairs = [item.partition(":") for item in items]
        if not all(token for _, _, token in pairs):
            raise wrong(name, MASK, "owner:token, separated by commas", variable)
        return _tokens([(owner, token) for owner, _, token in pairs], variable)
    type_ = TYPES[name]
    if get_origin(type_) is tuple:
        return converted(name, items, type_, variable, lax=True)
    if _is_table(type_):
        table = {owner: value for owner, _, value in (item.partition(":") for item in items)}
        return converted(name, table, type_, variable, lax=True)
    if text.lower() == "none" and type(None) in get_args(type_):
        return None
    return converted(name, text, type_, variable, lax=True)


def _is_table(type_: Any) -> bool:
    """Whether a setting is a value for each of some names, with a description or without."""
    return dict in (get_origin(type_), get_origin(getattr(type_, "__origin__", None)))


def _read_arguments(overrides: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    where = "the arguments"
    for name, value in overrides.items():
        if name not in NAMES:
            raise unknown(name, NAMES, where)
        named = next((one for one in NAMED if one.table == name), None)
        if value is not None and named is not None:
            values |= named.read_tables(value, where)
        elif value is not None:
            values[name] = converted(name, value, TYPES[name], where, lax=True)
    return values


def _tokens(pairs: list[tuple[str, str]], where: str) -> dict[str, str]:
    """Token to owner. What was found is never told: it could be a token."""
    made: dict[str, str] = {}
    for owner, token in pairs:
        converted("tokens", owner, Owner, where, lax=False)
        if not token or not token.isascii() or not token.isprintable() or " " in token:
            expected = f"visible ASCII characters for {owner}"
            raise wrong("tokens", MASK, expected, where)
        if made.setdefault(token, owner) != owner:
            raise wrong("tokens", f"one token of {made[token]} and {owner}", "one owner", where)
    return made


def _check_together(settings: Settings) -> None:
    """What one setting alone cannot get wrong."""
    _check_exact("budget_per_day", settings.budget_per_day)
    for owner, budget in settings.budgets.items():
        _check_exact(f"budgets.{owner}", budget)
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
    if settings.storage == "s3" and settings.s3_url is None:
        raise SettingsError("s3_url: found none beside storage s3, expected s3://bucket/prefix")
    check_backends(settings)
    check_providers(settings)


def _check_exact(name: str, dollars: float | None) -> None:
    """An amount is kept in millionths, and none is rounded."""
    try:
        micros_of(dollars or 0)
    except ValueError:
        found = f"{name}: found {dollars}"
        raise SettingsError(f"{found}, expected US dollars with at most six decimals") from None
