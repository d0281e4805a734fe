"""Who is let in: tokens in three places, origins, hosts, and the rule without tokens."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from safelight.edges.auth import MOST_REMEMBERED, SUBPROTOCOL, Authenticator
from safelight.settings import Settings
from safelight_protocol.codes import Refused

PADDED = "jwt.a-b_c"
ODD = "to+ken/with?every>thing~"
KEYED = Authenticator(Settings(tokens={PADDED: "ann", ODD: "bob", "plain": "bob"}))
OPEN = Authenticator(Settings())


def owner(
    headers: dict[str, str] | None = None,
    query: str = "",
    subprotocols: tuple[str, ...] = (),
    peer: str | None = "203.0.113.9",
    gate: Authenticator = KEYED,
) -> str:
    return gate.principal(headers or {}, query, subprotocols, peer).owner


def urlsafe(token: str) -> str:
    return base64.urlsafe_b64encode(token.encode()).decode().rstrip("=")


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_a_bearer_header_names_the_owner(scheme: str) -> None:
    """The Authorization header carries a token, whatever the case of its scheme."""
    assert owner({"authorization": f"{scheme} {PADDED}"}) == "ann"


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("token=plain", "bob"),
        ("vsn=2.0.0&token=plain", "bob"),
        ("token=to%2Bken%2Fwith%3Fevery%3Ething~", "bob"),
        ("token=to+ken/with?every%3Ething~", "bob"),
    ],
)
def test_a_query_names_the_owner(query: str, expected: str) -> None:
    """A token in the query is read with `+` escaped or as it is."""
    assert owner(query=query) == expected


def test_a_blank_may_be_sent_as_a_plus() -> None:
    """What a form encodes as `+` is a blank again."""
    gate = Authenticator(Settings(tokens={"a b": "ann"}))
    assert owner(query="token=a+b", gate=gate) == "ann"


@pytest.mark.parametrize("token", [PADDED, ODD, "plain"])
@pytest.mark.parametrize("encode", [base64.urlsafe_b64encode, base64.b64encode])
def test_a_subprotocol_names_the_owner(token: str, encode: Any) -> None:
    """phoenix.js' authToken is read in both alphabets, without padding."""
    entry = SUBPROTOCOL + encode(token.encode()).decode().rstrip("=")
    assert owner(subprotocols=("phoenix", entry)) in ("ann", "bob")


def test_phoenix_encodes_a_token_so() -> None:
    """The entry for a known token is the one that phoenix.js was seen to send."""
    assert owner(subprotocols=("phoenix", "base64url.bearer.phx.and0LmEtYl9j")) == "ann"


def test_supabases_word_for_a_token_is_read() -> None:
    """`apikey` in the query is a token like `token`."""
    assert owner(query="apikey=plain&vsn=2.0.0") == "bob"


@pytest.mark.parametrize(
    "query",
    [
        "token=&apikey=plain",
        "token&apikey=plain",
        "apikey=&token=plain",
        "apikey=any&token=plain",
        "token=any&vsn=2.0.0&apikey=plain",
        "token=plain&apikey=any",
        "token=any&token=plain",
    ],
)
def test_another_word_in_the_query_hides_no_token(query: str) -> None:
    """What is empty or foreign under either name leaves the good one beside it good."""
    assert owner(query=query) == "bob"


def test_of_two_good_tokens_in_the_query_the_first_counts() -> None:
    """The order in which they stand decides, whatever they are called."""
    assert owner(query=f"apikey={PADDED}&token=plain") == "ann"


def test_a_query_is_no_list_of_guesses() -> None:
    """Only so many tokens of one request are tried."""
    with pytest.raises(Refused):
        owner(query="token=x&" * 4 + "token=plain")


def test_an_empty_header_hides_nothing() -> None:
    """A header without a token is as good as none."""
    assert owner({"authorization": "Bearer "}, query="token=plain") == "bob"
    assert owner({"x-phoenix-authtoken": ""}, query="token=plain") == "bob"


def test_two_subprotocol_tokens_are_none() -> None:
    """More than one token among the sub-protocols is refused, even if both are good."""
    entry = SUBPROTOCOL + urlsafe("plain")
    with pytest.raises(Refused):
        owner(subprotocols=(entry, entry))


def test_the_header_counts_before_the_query() -> None:
    """A wrong header is not made good by another place."""
    assert owner({"authorization": f"Bearer {PADDED}"}, query="token=plain") == "ann"
    with pytest.raises(Refused):
        owner({"authorization": "Bearer wrong"}, query="token=plain")


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"headers": {"authorization": "Bearer"}},
        {"headers": {"authorization": "Bearer "}},
        {"headers": {"authorization": "Basic plain"}},
        {"headers": {"authorization": "plain"}},
        {"headers": {"authorization": "Bearer Plain"}},
        {"headers": {"authorization": "Bearer pla\u00efn"}},
        {"query": "token="},
        {"query": "token"},
        {"query": "xtoken=plain"},
        {"query": "token=%ff%fe"},
        {"subprotocols": ("phoenix",)},
        {"subprotocols": (SUBPROTOCOL,)},
        {"subprotocols": (SUBPROTOCOL + "!!!",)},
        {"subprotocols": (SUBPROTOCOL + "_w",)},
        {"subprotocols": (SUBPROTOCOL + "A",)},
        {"peer": "127.0.0.1"},
    ],
    ids=str,
)
def test_without_a_known_token_nobody_is_let_in(given: dict[str, Any]) -> None:
    """No token, an unknown or a broken one is `unauthorized`, also from this machine."""
    with pytest.raises(Refused) as refused:
        owner(**given)
    assert refused.value.code.name == "unauthorized"


@pytest.mark.parametrize("peer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", None])
def test_without_tokens_this_machine_is_the_local_owner(peer: str | None) -> None:
    """With no tokens configured callers on this machine are `local`, whatever they send."""
    assert owner(peer=peer, gate=OPEN) == "local"
    assert owner({"authorization": "Bearer x"}, peer=peer, gate=OPEN) == "local"


@pytest.mark.parametrize("peer", ["192.168.1.7", "::ffff:10.0.0.1", "2001:db8::1"])
def test_without_tokens_others_stay_outside(peer: str) -> None:
    """With no tokens configured callers elsewhere are refused, unless the door was opened."""
    with pytest.raises(Refused) as refused:
        owner(peer=peer, gate=OPEN)
    assert refused.value.code.name == "unauthorized"
    opened = Authenticator(Settings(anonymous_owner="everybody"))
    assert owner(peer=peer, gate=opened) == "everybody"


SITE = Authenticator(
    Settings(
        tokens={"t": "ann"},
        public_url="https://safelight.example/base",
        allowed_origins=("https://app.example", "capacitor://localhost", "null"),
    )
)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "x.example"},
        {"host": "x.example", "origin": "http://x.example"},
        {"host": "x.example:443", "origin": "https://x.example"},
        {"host": "X.Example:8443", "origin": "https://x.example:8443"},
        {"host": "[::1]:4747", "origin": "http://[::1]:4747"},
        {"host": "inner:4747", "origin": "https://safelight.example"},
        {"host": "x.example", "origin": "https://app.example"},
        {"host": "x.example", "origin": "HTTPS://APP.example"},
        {"host": "x.example", "origin": "capacitor://localhost"},
        {"host": "x.example", "origin": "null"},
    ],
    ids=str,
)
def test_our_pages_and_allowed_ones_may_ask(headers: dict[str, str]) -> None:
    """No origin, our own host, the public URL and allowed origins pass."""
    SITE.check_origin(headers)


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "x.example", "origin": "https://evil.example"},
        {"host": "x.example", "origin": "http://x.example:81"},
        {"host": "x.example", "origin": "http://x.example.evil.example"},
        {"host": "x.example", "origin": "http://evil.example?x.example"},
        {"host": "x.example", "origin": "x.example"},
        {"host": "x.example", "origin": ""},
        {"host": "", "origin": "http://"},
        {"host": "[", "origin": "http://["},
        {"host": "x.example:y", "origin": "http://x.example:y"},
        {"host": "localhost", "origin": "ionic://localhost"},
        {"host": "x.example", "origin": "http://app.example"},
        {"origin": "http://x.example"},
    ],
    ids=str,
)
def test_other_pages_may_not_ask(headers: dict[str, str]) -> None:
    """A page of another origin, or of one that is none, is forbidden."""
    with pytest.raises(Refused) as refused:
        SITE.check_origin(headers)
    assert refused.value.code.name == "forbidden"


def test_null_is_an_origin_like_others() -> None:
    """Pages without an origin (files, sandboxes) pass only if `null` or `*` is allowed."""
    with pytest.raises(Refused):
        OPEN.check_origin({"host": "localhost", "origin": "null"})
    Authenticator(Settings(allowed_origins=("*",))).check_origin({"origin": "null"})


@pytest.mark.parametrize(
    "host",
    [
        "localhost",
        "localhost:4747",
        "LOCALHOST:4747",
        "studio.localhost:1",
        "127.0.0.1:4747",
        "[::1]:4747",
        "192.168.1.5:4747",
        "safelight.example",
        "lan-name:4747",
        "",
    ],
)
def test_our_names_are_answered_to(host: str) -> None:
    """Loopback names, addresses, the configured host and the public URL's are ours."""
    gate = Authenticator(
        Settings(
            host="lan-name", anonymous_owner="all", public_url="https://safelight.example:99/x"
        )
    )
    gate.check_host({"host": host} if host else {})


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:4747", "localhost.evil.example", "[", "a:b", "@localhost:x"],
)
def test_a_rebound_name_is_forbidden(host: str) -> None:
    """Without tokens a foreign host name is refused; with tokens it does no harm."""
    with pytest.raises(Refused) as refused:
        OPEN.check_host({"host": host})
    assert refused.value.code.name == "forbidden"
    KEYED.check_host({"host": host})


def scope(**changed: Any) -> dict[str, Any]:
    return {
        "type": "websocket",
        "headers": [(b"host", b"localhost:4747")],
        "query_string": b"vsn=2.0.0",
        "subprotocols": [],
        "client": ("127.0.0.1", 50000),
    } | changed


def test_a_scope_passes_every_check() -> None:
    """An ASGI scope is admitted when host, origin and token are right."""
    assert OPEN.admit(scope()).owner == "local"
    assert OPEN.admit(scope(client=None)).owner == "local"
    assert KEYED.admit(scope(query_string=b"token=plain")).owner == "bob"
    entry = SUBPROTOCOL + urlsafe(PADDED)
    assert KEYED.admit(scope(subprotocols=["phoenix", entry])).owner == "ann"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"headers": [(b"host", b"evil.example")]}, "forbidden"),
        ({"headers": [(b"host", b"localhost"), (b"origin", b"http://evil.example")]}, "forbidden"),
        ({"client": ("10.0.0.1", 1)}, "unauthorized"),
    ],
)
def test_a_scope_fails_at_any_check(changed: dict[str, Any], code: str) -> None:
    """A scope that fails one check is refused with that check's code."""
    with pytest.raises(Refused) as refused:
        OPEN.admit(scope(**changed))
    assert refused.value.code.name == code


def headers_of(*named: tuple[str, str]) -> tuple[tuple[bytes, bytes], ...]:
    return tuple((name.encode(), value.encode()) for name, value in named)


@pytest.mark.parametrize("kind", [list, tuple])
@pytest.mark.parametrize("origin_first", [True, False])
def test_a_known_token_lets_no_foreign_page_in(kind: Any, origin_first: bool) -> None:
    """Whether the headers are remembered or not, and wherever the page is named."""
    gate = Authenticator(Settings(tokens={"plain": "bob"}))
    mine = ("authorization", "Bearer plain")
    page = ("origin", "http://evil.example")
    both = [page, mine] if origin_first else [mine, page]
    assert gate.admit({"headers": kind(headers_of(mine))}).owner == "bob"
    for _ in range(2):
        with pytest.raises(Refused) as refused:
            gate.admit({"headers": kind(headers_of(*both))})
        assert refused.value.code.name == "forbidden"


@pytest.mark.parametrize("kind", [list, tuple])
def test_of_two_tokens_the_last_counts(kind: Any) -> None:
    """As it does where all is looked at in turn."""
    two = headers_of(("authorization", "Bearer plain"), ("authorization", f"Bearer {PADDED}"))
    for _ in range(2):
        assert KEYED.admit({"headers": kind(two)}).owner == "ann"


def test_what_is_remembered_of_who_asks_has_a_bound() -> None:
    """However many heads are admitted; and those that are refused are not kept at all."""
    gate = Authenticator(Settings(tokens={"plain": "bob"}))
    for n in range(3 * MOST_REMEMBERED):
        mine = headers_of(("authorization", "Bearer plain"), ("x", str(n)))
        assert gate.admit({"headers": mine}).owner == "bob"
        assert len(gate._admitted) <= MOST_REMEMBERED
    held = len(gate._admitted)
    with pytest.raises(Refused):
        gate.admit({"headers": headers_of(("authorization", "Bearer wrong"))})
    assert len(gate._admitted) == held
