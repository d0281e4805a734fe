"""Backends among the settings: where their fields come from, and what two may not share."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safelight.configured import backends_of
from safelight.settings import (
    BackendSettings,
    Loaded,
    Settings,
    SettingsError,
    lines,
    load,
    normal_url,
)

TWO = """
default_backend = "kerniegen"
[backends.kerniegen]
url = "http://127.0.0.1:8189"
[backends.big-card]
url = "https://gpu.example/comfy/"
label = "The big card"
token = "hidden1"
headers = { X-Key = "hidden2" }
concurrency = 1
"""


def read(folder: Path, text: str = "", environ: Mapping[str, str] | None = None) -> Loaded:
    """Settings from a file of this text."""
    file = folder / "safelight.toml"
    file.write_text(text)
    return load(str(file), environ or {}, {})


def test_backends_are_tables_of_the_file(tmp_path: Path) -> None:
    """Each table is a backend, in the order of the file, with the defaults for the rest."""
    settings = read(tmp_path, TWO).settings
    assert list(settings.backends) == ["kerniegen", "big-card"]
    assert settings.backends["kerniegen"] == BackendSettings(url="http://127.0.0.1:8189")
    big = settings.backends["big-card"]
    assert (big.url, big.label) == ("https://gpu.example/comfy", "The big card")
    assert (big.type, big.token, big.concurrency) == ("comfyui", "hidden1", 1)
    assert big.headers == {"X-Key": "hidden2"}
    assert settings.default_backend == "kerniegen"


def test_a_variable_overrides_one_field_of_one_backend(tmp_path: Path) -> None:
    """SAFELIGHT_BACKENDS__NAME__FIELD wins over the file for that field alone, an
    underscore standing for a hyphen, and is told to be an override."""
    environ = {
        "SAFELIGHT_BACKENDS__BIG_CARD__URL": "http://10.0.0.7:8188",
        "SAFELIGHT_BACKENDS__BIG_CARD__LABEL": "none",
        "SAFELIGHT_BACKENDS__BIG_CARD__HEADERS": '{"X-Other": "a, b; c"}',
        "SAFELIGHT_BACKENDS__KERNIEGEN__TIMEOUT_SECONDS": "3",
        "SAFELIGHT_DEFAULT_BACKEND": "big-card",
    }
    loaded = read(tmp_path, TWO, environ)
    big = loaded.settings.backends["big-card"]
    assert list(loaded.settings.backends) == ["kerniegen", "big-card"]
    assert (big.url, big.label, big.concurrency) == ("http://10.0.0.7:8188", None, 1)
    assert big.headers == {"X-Other": "a, b; c"}
    assert loaded.settings.backends["kerniegen"].timeout_seconds == 3.0
    assert loaded.sources["backends.big-card.url"] == "environment"
    assert loaded.overridden["backends.big-card.url"] == ("file",)
    assert loaded.sources["backends.big-card.token"] == "file"
    assert "backends.kerniegen.timeout_seconds" not in loaded.overridden
    assert loaded.overridden["default_backend"] == ("file",)


def test_variables_alone_make_a_backend(tmp_path: Path) -> None:
    """A backend needs no file."""
    environ = {"SAFELIGHT_BACKENDS__MY_GPU__URL": "http://gpu:8188"}
    assert read(tmp_path, "", environ).settings.backends == {
        "my_gpu": BackendSettings(url="http://gpu:8188")
    }


def test_every_field_is_printed_and_no_secret(tmp_path: Path) -> None:
    """Each field of each backend has a line with its source; tokens and header values are
    stars."""
    environ = {"SAFELIGHT_BACKENDS__KERNIEGEN__URL": "http://127.0.0.1:9000"}
    printed = {line.name: line for line in lines(read(tmp_path, TWO, environ))}
    for backend in ("kerniegen", "big-card"):
        fields = BackendSettings.__struct_fields__
        assert all(f"backends.{backend}.{field}" in printed for field in fields)
    url = printed["backends.kerniegen.url"]
    assert (url.value, url.source) == ('"http://127.0.0.1:9000"', "environment")
    assert url.overridden == ("file",)
    assert printed["backends.kerniegen.token"].value == "none"
    assert printed["backends.kerniegen.token"].source == "default"
    assert printed["backends.big-card.token"].value == "*****"
    assert printed["backends.big-card.headers"].value == "X-Key: *****"
    assert "hidden" not in repr(printed)
    assert "backends" not in printed
    assert {line.name: line.value for line in lines(read(tmp_path))}["backends"] == "none"


ONE = '[backends.a]\nurl = "http://a"\n'
WRONG_FILES = {
    "s3_secret = 'hidden two'": r"s3_secret: found \*+, expected visible ASCII",
    "backends = 3": "backends: found a number, expected tables such as",
    "[backends]\na = 'http://a'": r"a: found text, expected a table, \[backends\.a\]",
    "[backends.A]\nurl = 'http://a'": 'backends: found "A", expected 1 to 32 of a-z',
    "[backends.a]\nlabel = 'x'": r"backends\.a\.url: found nothing, expected the address of a",
    "[backends.a]\nurl = 'ftp://a'": r'backends\.a\.url: found "ftp://a", expected an http',
    "[backends.a]\nurl = 'http://u:hidden@a'": r"backends\.a\.url: .* credentials go into token",
    "[backends.a]\nurl = 'http://a?k=1'": "expected an http or https address without a query",
    "[backends.a]\nurl = 'http://a:99999'": "with a port from 0 to 65535",
    ONE + "urll = 'x'": r"backends\.a\.urll: found an unknown setting, expected backends\.a\.url\?",
    ONE + "type = 'comfy'": r'backends\.a\.type: found "comfy", expected one of comfyui',
    ONE + "concurrency = 0": r"backends\.a\.concurrency: found 0, expected an integer from 1 to 64",
    ONE + "token = 'hidden two'": r"backends\.a\.token: found \*+, expected visible ASCII",
    ONE + 'headers = {X = "hidden\\n"}': r"backends\.a\.headers: found \*+, expected a table of",
    ONE + "headers = {'X Y' = 'hidden'}": r"backends\.a\.headers: found \*+, expected a table of",
    ONE + "token = 'hidden'\nheaders = {authorization = 'hidden'}": r"a\.token: found beside an",
    "default_backend = 'b'\n" + ONE: r'default_backend: found "b", expected one of a',
    "default_backend = 'kernigen'\n[backends.kerniegen]\nurl = 'http://a'": "expected kerniegen?",
    "default_backend = 'a'": r"default_backend: found \"a\", expected \[backends\]",
    "unreachable = 'wait'": 'unreachable: found "wait", expected one of refuse, queue',
    ONE + "[backends.a-b]\nurl = 'http://b'\n[backends.a_b]\nurl = 'http://c'": "a-b and a_b",
}


@pytest.mark.parametrize(("text", "message"), WRONG_FILES.items(), ids=range(len(WRONG_FILES)))
def test_a_wrong_backend_is_refused(tmp_path: Path, text: str, message: str) -> None:
    """A wrong field is refused with its whole name, what was found, and what is expected;
    what may be a secret is not repeated."""
    with pytest.raises(SettingsError, match=message) as refused:
        read(tmp_path, text)
    assert "hidden" not in str(refused.value)


WRONG_VARIABLES = {
    ("SAFELIGHT_BACKENDS__A__URLL", "hidden"): r"expected SAFELIGHT_BACKENDS__A__URL\?",
    ("SAFELIGHT_BACKENDS__A__QQQQ", "hidden"): "expected SAFELIGHT_BACKENDS__A__",
    ("SAFELIGHT_BACKENDS__A__URL", "nowhere"): r'a\.url: found "nowhere", .*BACKENDS__A__URL\)',
    ("SAFELIGHT_BACKENDS__A__HEADERS", "hidden"): r"a\.headers: found \*+, .* a JSON object",
    ("SAFELIGHT_BACKENDS__1A__URL", "http://a"): 'backends: found "1a", expected 1 to 32',
    ("SAFELIGHT_BACKENDS__URL", "hidden"): "expected SAFELIGHT_BACKENDS__<NAME>__<FIELD>",
    ("SAFELIGHT_BACKENDS", "hidden"): "expected SAFELIGHT_BACKENDS__<NAME>__<FIELD>",
    ("SAFELIGHT_BACKENDS_A__URL", "hidden"): "expected SAFELIGHT_BACKENDS__<NAME>__<FIELD>",
}


@pytest.mark.parametrize(("variable", "message"), WRONG_VARIABLES.items())
def test_a_wrong_variable_is_refused(
    tmp_path: Path, variable: tuple[str, str], message: str
) -> None:
    """A wrong variable of a backend is refused by name, without what it said."""
    with pytest.raises(SettingsError, match=message) as refused:
        read(tmp_path, ONE, dict([variable]))
    assert "hidden" not in str(refused.value)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://gpu.example", "HTTP://GPU.example:80/"),
        ("https://gpu.example/a", "https://gpu.example:443/a//"),
        ("http://localhost:8188", "http://127.0.0.1:8188"),
        ("http://[::1]:8188", "http://[0:0::1]:8188/"),
        ("http://[::1]", "http://localhost/"),
        ("http://0.0.0.0:8188", "http://127.0.0.1:8188"),
        ("http://127.1:8188", "http://127.0.0.1:8188"),
        ("http://0x7f000001:8188", "http://127.0.0.1:8188"),
        ("http://[::ffff:127.0.0.1]:8188", "http://127.0.0.1:8188"),
        ("http://ip6-localhost:8188", "http://127.0.0.1:8188"),
    ],
)
def test_two_backends_at_one_address_are_refused(tmp_path: Path, one: str, other: str) -> None:
    """However the address is spelt, and from whichever source: both are named."""
    text = f'[backends.first]\nurl = "{one}"\n'
    with pytest.raises(SettingsError, match=r"backends\.second\.url: .* where first is, too"):
        read(tmp_path, text, {"SAFELIGHT_BACKENDS__SECOND__URL": other})


def test_two_at_one_address_are_refused_without_any_file() -> None:
    """Whoever builds the settings in code is held to the same: nothing is made of them."""
    twice = {name: BackendSettings(url="http://gpu.example") for name in ("first", "second")}
    with pytest.raises(SettingsError, match="where first is, too"):
        backends_of(Settings(backends=twice))


@pytest.mark.parametrize("url", ["http://127.0.0.1:4747", "https://localhost:4747/"])
def test_a_server_is_no_backend_of_itself(tmp_path: Path, url: str) -> None:
    """An address that leads back here is refused; the same port elsewhere is another one."""
    with pytest.raises(SettingsError, match=r"a\.url: found .*, where this server listens itself"):
        read(tmp_path, f'[backends.a]\nurl = "{url}"')
    for other in (url.replace("4747", "4748"), "http://gpu.example:4747"):
        assert read(tmp_path, f'[backends.a]\nurl = "{other}"').settings.backends["a"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("http://gpu.example:8188", "http://gpu.example:8189"),
        ("http://gpu.example/a", "http://gpu.example/A"),
        ("http://gpu.example", "https://gpu.example"),
        ("http://[::1]:8188", "http://[::2]:8188"),
    ],
)
def test_backends_at_two_addresses_are_not_confused(tmp_path: Path, one: str, other: str) -> None:
    """Another port, path, scheme or host is another backend."""
    text = f'[backends.first]\nurl = "{one}"\n[backends.second]\nurl = "{other}"'
    assert len(read(tmp_path, text).settings.backends) == 2


@pytest.mark.parametrize(
    ("written", "normal"),
    [
        ("HTTP://GPU.Example:80/", "http://gpu.example"),
        ("https://gpu.example:443", "https://gpu.example"),
        ("http://gpu.example:443/Path/", "http://gpu.example:443/Path"),
        ("http://gpu.example.:8188", "http://gpu.example:8188"),
        ("http://[0:0:0:0:0:0:0:1]:8188//", "http://[::1]:8188"),
    ],
)
def test_an_address_has_one_spelling(written: str, normal: str) -> None:
    """Scheme and host in small letters, no default port, no slash at the end."""
    assert normal_url(written) == normal
    assert normal_url(normal) == normal
    assert BackendSettings(url=written).url == normal


@pytest.mark.parametrize("text", ["gpu", "ftp://gpu", "http://", "http://u:p@gpu", "http://g?a=1"])
def test_what_is_no_address_has_no_normal_form(text: str) -> None:
    """Neither credentials nor a query belong into an address."""
    with pytest.raises(ValueError, match=re.escape("no address")):
        normal_url(text)


HOSTS = st.sampled_from(["gpu", "GPU.example.", "127.0.0.1", "[::1]", "[0:0::1]", "localhost"])
PATHS = st.lists(st.sampled_from(["", "a", "B", ".."]), max_size=4).map("/".join)


@given(
    scheme=st.sampled_from(["http", "HTTPS"]),
    host=HOSTS,
    port=st.sampled_from(["", ":80", ":443", ":8188"]),
    path=PATHS,
)
def test_spelling_an_address_anew_changes_nothing(
    scheme: str, host: str, port: str, path: str
) -> None:
    """The normal form is its own normal form, and reaches the same server."""
    normal = normal_url(f"{scheme}://{host}{port}/{path}")
    assert normal_url(normal) == normal
    assert not normal.endswith("/")
    assert BackendSettings(url=normal).url == normal


def test_the_examples_of_the_docs_are_read(tmp_path: Path) -> None:
    """Every file that docs/settings.md shows is taken as it stands."""
    page = (Path(__file__).parents[2] / "docs/settings.md").read_text(encoding="utf-8")
    shown = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    loaded = [read(tmp_path, text).settings for text in shown]
    assert [list(one.backends) for one in loaded] == [[], ["kerniegen", "studio"], []]
    assert loaded[1].default_backend == "kerniegen"
    assert list(loaded[2].providers) == ["replicate", "ollama"]


def test_a_setting_below_a_table_is_told_where_it_belongs(tmp_path: Path) -> None:
    """The commonest slip in TOML: a setting of the server written below a backend's table."""
    file = tmp_path / "safelight.toml"
    file.write_text('[backends.desk]\nurl = "http://127.0.0.1:8189"\ndefault_backend = "desk"\n')
    with pytest.raises(SettingsError, match="default_backend is a setting of its own"):
        load(str(file), {}, {})
