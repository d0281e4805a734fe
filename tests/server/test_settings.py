"""Settings from every source: what wins, what is refused, and what is never shown."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from safelight.settings import (
    NAMES,
    Loaded,
    Remote,
    Settings,
    SettingsError,
    is_loopback,
    lines,
    load,
    load_remote,
)


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def read(
    text: str | None = None,
    environ: Mapping[str, str] | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> Loaded:
    """Settings from a file of this text, in the working directory."""
    if text is not None:
        Path("safelight.toml").write_text(text)
    return load(None, environ or {}, overrides or {})


def test_without_any_source_the_defaults_hold() -> None:
    """An empty folder and environment give the defaults, each marked as such."""
    loaded = read()
    assert loaded.settings == Settings()
    assert loaded.file is None
    assert loaded.sources == dict.fromkeys(NAMES, "default")
    assert loaded.overridden == {}


def test_later_sources_override_earlier_ones() -> None:
    """Arguments win over the environment, that over the file, and it is told who lost."""
    loaded = read(
        'port = 1\nattempts = 5\ndata_dir = "there"',
        {"SAFELIGHT_PORT": "2", "SAFELIGHT_ATTEMPTS": "6"},
        {"port": 3, "host": None},
    )
    settings = loaded.settings
    assert (settings.port, settings.attempts, settings.data_dir) == (3, 6, "there")
    assert settings.host == "127.0.0.1"
    assert loaded.sources["port"] == "argument"
    assert loaded.sources["attempts"] == "environment"
    assert loaded.sources["data_dir"] == "file"
    assert loaded.overridden == {"port": ("file", "environment"), "attempts": ("file",)}
    assert loaded.file == Path("safelight.toml")


def test_the_file_may_be_named(tmp_path: Path) -> None:
    """A file named by argument counts before one named by SAFELIGHT_CONFIG."""
    one, two = tmp_path / "one.toml", tmp_path / "two.toml"
    one.write_text("port = 1")
    two.write_text("port = 2")
    environ = {"SAFELIGHT_CONFIG": str(one)}
    assert load(None, environ, {}).settings.port == 1
    assert load(str(two), environ, {}).settings.port == 2


@pytest.mark.parametrize("environ", [{}, {"SAFELIGHT_CONFIG": "nowhere.toml"}])
def test_a_named_file_must_exist(environ: dict[str, str]) -> None:
    """A settings file that is named but absent is refused by name."""
    with pytest.raises(SettingsError, match=r"nowhere\.toml: there is no such settings file"):
        load(None if environ else "nowhere.toml", environ, {})


def test_every_form_of_value_is_read_from_the_environment() -> None:
    """Numbers, switches, lists, tokens and `none` are read from text."""
    settings = read(
        environ={
            "SAFELIGHT_PORT": "0",
            "SAFELIGHT_DRAIN_SECONDS": "2.5",
            "SAFELIGHT_SCRIPTED": "true",
            "SAFELIGHT_ALLOWED_ORIGINS": "https://a.example, https://b.example:8443",
            "SAFELIGHT_TOKENS": "ann:one,bob:two:three, ann:four",
            "SAFELIGHT_PUBLIC_URL": "none",
            "SAFELIGHT_LOG_FORMAT": "json",
            "SAFELIGHT_DATA_DIR": "",
            "HOME": "/home/ann",
        }
    ).settings
    assert settings.port == 0
    assert settings.drain_seconds == 2.5
    assert settings.scripted is True
    assert settings.allowed_origins == ("https://a.example", "https://b.example:8443")
    assert settings.tokens == {"one": "ann", "two:three": "bob", "four": "ann"}
    assert settings.public_url is None
    assert settings.log_format == "json"
    assert settings.data_dir == "data"


def test_tokens_are_a_table_of_owners() -> None:
    """In the file an owner has one token or a list of them."""
    settings = read('[tokens]\nann = "one"\nbob = ["two", "three"]').settings
    assert settings.tokens == {"one": "ann", "two": "bob", "three": "bob"}


def test_other_variables_with_our_prefix_are_let_be() -> None:
    """The variables of the command line's own are no settings, and no mistake."""
    assert read(environ={"SAFELIGHT_URL": "http://x", "SAFELIGHT_TOKEN": "t"}).sources["port"]


WRONG_FILES = {
    "port = 70000": "port: found 70000, expected a port from 0",
    "port = '80'": 'port: found "80", expected a port',
    "prot = 1": r"prot: found an unknown setting, expected port\? \(safelight\.toml\)",
    "zzz = 1": "zzz: found an unknown setting, expected one of host, port",
    "scripted = 1": "scripted: found 1, expected true or false",
    "log_format = 'xml'": 'log_format: found "xml", expected one of console, json',
    "allowed_origins = ['https://a/b']": "expected a list, each of it an origin",
    "public_url = 'ftp://x'": "public_url: .* expected an http or https address .*, or none",
    "public_url = 'http://x/?a'": "public_url: .* expected an http or https address",
    "drain_seconds = nan": "drain_seconds: .* expected a number of seconds, 0 or more",
    "attempt_timeout_seconds = 0": "expected a number of seconds above 0",
    "data_dir = ''": "data_dir: .* expected a string that is not empty",
    "tokens = ['x']": r"tokens: found \*\*\*\*\*, expected a table",
    "port = ": r"safelight\.toml cannot be read",
    "attempts = 0": "attempts: found 0, expected an integer from 1 to 64",
    "anonymous_owner = 'a b'": "anonymous_owner: .* expected 1 to 64 of",
    "retry_max_seconds = 0.5": r"retry_max_seconds: found 0\.5, expected retry_base_seconds",
}


@pytest.mark.parametrize(("text", "message"), WRONG_FILES.items(), ids=WRONG_FILES.keys())
def test_a_wrong_file_is_refused(text: str, message: str) -> None:
    """A wrong setting is refused with its name, what was found and what is expected."""
    with pytest.raises(SettingsError, match=message):
        read(text)


WRONG_VARIABLES = {
    ("SAFELIGHT_PORT", "many"): r'port: found "many", .* \(SAFELIGHT_PORT\)',
    ("SAFELIGHT_PROT", "1"): "SAFELIGHT_PROT: found an unknown setting, expected SAFELIGHT_PORT",
    ("SAFELIGHT_PORT", "none"): "expected a port",
    ("SAFELIGHT_TOKENS", "secret"): "expected owner:token, separated by commas",
    ("SAFELIGHT_TOKENS", "a b:secret"): "expected 1 to 64 of",
    ("SAFELIGHT_TOKENS", "ann:se cret"): "expected visible ASCII characters for ann",
    ("SAFELIGHT_TOKENS", "ann:secret,bob:secret"): "found one token of ann and bob",
    ("SAFELIGHT_TOKNE", "secret"): "found an unknown setting",
}


@pytest.mark.parametrize(("variable", "message"), WRONG_VARIABLES.items())
def test_a_wrong_variable_is_refused(variable: tuple[str, str], message: str) -> None:
    """A wrong variable is refused by name, and what may be a token is never repeated."""
    with pytest.raises(SettingsError, match=message) as refused:
        read(environ=dict([variable]))
    assert "secret" not in str(refused.value)


def test_an_unknown_argument_is_refused() -> None:
    """Arguments are held to the same names and ranges."""
    with pytest.raises(SettingsError, match="colour: found an unknown setting"):
        read(overrides={"colour": "red"})
    with pytest.raises(SettingsError, match=r"port: found -1, .* \(the arguments\)"):
        read(overrides={"port": -1})


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.5", "safelight.example"])
def test_an_open_door_needs_a_reason(host: str) -> None:
    """Without tokens only loopback is listened on, unless an anonymous owner is named."""
    with pytest.raises(SettingsError, match=r"host: found .* without tokens"):
        read(overrides={"host": host})
    assert read(environ={"SAFELIGHT_TOKENS": "a:b"}, overrides={"host": host})
    assert read(environ={"SAFELIGHT_ANONYMOUS_OWNER": "all"}, overrides={"host": host})


def test_an_anonymous_owner_excludes_tokens() -> None:
    """Tokens beside an anonymous owner contradict each other."""
    with pytest.raises(SettingsError, match="anonymous_owner: found beside tokens"):
        read('anonymous_owner = "all"\n[tokens]\nann = "one"')


@pytest.mark.parametrize("host", ["localhost", "a.localhost", "127.8.0.1", "::1", "[::1]"])
def test_loopback_hosts_are_known(host: str) -> None:
    """Every spelling of this machine counts as loopback."""
    assert is_loopback(host)
    assert is_loopback("::ffff:127.0.0.1")


@pytest.mark.parametrize("host", ["", "localhost.example", "127.0.0.1.example", "10.0.0.1"])
def test_other_hosts_are_not_loopback(host: str) -> None:
    """A name that only looks like this machine does not."""
    assert not is_loopback(host)


def test_settings_are_printed_without_secrets() -> None:
    """Every setting has a line with source and overrides; tokens are only counted."""
    loaded = read('port = 1\n[tokens]\nann = ["hidden1", "hidden2"]', {"SAFELIGHT_PORT": "2"})
    printed = {line.name: line for line in lines(loaded)}
    assert tuple(printed) == NAMES
    assert printed["tokens"].value == "ann (2)"
    assert "hidden" not in repr(list(printed.values()))
    port = printed["port"]
    assert (port.value, port.source, port.overridden) == ("2", "environment", ("file",))
    assert {line.name: line.value for line in lines(read(""))}["tokens"] == "none"


def test_the_command_line_finds_its_server() -> None:
    """Arguments win over SAFELIGHT_URL and SAFELIGHT_TOKEN; the default is this machine."""
    environ = {"SAFELIGHT_URL": "https://a.example/", "SAFELIGHT_TOKEN": "t"}
    assert load_remote({}, None, None) == Remote("http://127.0.0.1:4747", None)
    assert load_remote(environ, None, None) == Remote("https://a.example", "t")
    assert load_remote(environ, "http://b", "u") == Remote("http://b", "u")
    with pytest.raises(SettingsError, match=r"url: .* expected an http or https address"):
        load_remote({}, "b.example", None)


def test_weights_are_numbers_by_owner(tmp_path: Path) -> None:
    """As a table of the file, or as owner:number in a variable; none is without its bounds."""
    file = tmp_path / "safelight.toml"
    file.write_text("[weights]\nann = 2\nbob = 0.5\n")
    assert load(str(file), {}, {}).settings.weights == {"ann": 2.0, "bob": 0.5}
    found = load(str(file), {"SAFELIGHT_WEIGHTS": "cid:3, ann:0.25"}, {}).settings
    assert found.weights == {"cid": 3.0, "ann": 0.25}
    for wrong in ("ann", "ann:0", "ann:x", "no one:1"):
        with pytest.raises(SettingsError, match="a table of owner = number"):
            load(None, {"SAFELIGHT_WEIGHTS": wrong}, {})
