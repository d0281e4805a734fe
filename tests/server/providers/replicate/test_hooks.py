"""Webhooks: signatures by an independent signer, rotation, skew, and calls that come twice."""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
import standardwebhooks

from safelight.providers.base import Delivery
from safelight.providers.http import Fault, Trouble
from safelight.providers.recent import MOST
from safelight.providers.replicate.hooks import Hooks
from safelight_protocol.codes import Refused

NOW = 1_795_000_000
OLD = "whsec_" + base64.b64encode(b"o" * 24).decode()
NEW = "whsec_" + base64.b64encode(b"n" * 24).decode()
FORGED = "whsec_" + base64.b64encode(b"f" * 24).decode()
BODY = b'{"id": "p", "status": "starting"}'


def signed(secret: str, *, id: str = "msg_1", at: int = NOW, body: bytes = BODY) -> Delivery:
    """A call as the reference implementation signs it."""
    when = datetime.fromtimestamp(at, UTC)
    signature = standardwebhooks.Webhook(secret).sign(id, when, body.decode())
    headers = {
        "webhook-id": id,
        "webhook-timestamp": str(at),
        "webhook-signature": signature,
    }
    return Delivery({}, headers, body)


class Desk:
    """Tells the secret, and counts how often it is asked."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.asked = 0
        self.away = False
        self.time = 0.0

    async def ask(self) -> str:
        """The secret as it is now."""
        self.asked += 1
        if self.away:
            raise Trouble(Fault(sent=True, why="it answered 503", status=503))
        return self.secret

    def hooks(self, given: str | None = None, clock: Callable[[], int] | None = None) -> Hooks:
        """The hooks that ask here."""
        now = clock or (lambda: NOW * 1000)
        return Hooks("replicate", self.ask, given, now, lambda: self.time, 30.0)


async def test_the_secret_is_asked_for_once() -> None:
    """Calls that are signed right are let in, and the secret is asked for once."""
    desk = Desk(OLD)
    hooks = desk.hooks()
    assert await hooks.check(signed(OLD)) == "msg_1"
    assert await hooks.check(signed(OLD, id="msg_2")) == "msg_2"
    assert desk.asked == 1


async def test_rotation() -> None:
    """A call signed with a new secret is let in at once, and the old one no longer."""
    desk = Desk(OLD)
    hooks = desk.hooks()
    await hooks.check(signed(OLD))
    desk.secret = NEW
    assert await hooks.check(signed(NEW)) == "msg_1"
    with pytest.raises(Refused):
        await hooks.check(signed(OLD))


async def test_nonsense_does_not_make_us_ask() -> None:
    """After a question in vain, calls that do not fit make nobody ask again for a while."""
    desk = Desk(OLD)
    hooks = desk.hooks()
    await hooks.check(signed(OLD))
    for _ in range(5):
        with pytest.raises(Refused) as refused:
            await hooks.check(signed(NEW))
        assert refused.value.code.name == "unauthorized"
    assert desk.asked == 2
    desk.time, desk.secret = 31.0, NEW
    assert await hooks.check(signed(NEW)) == "msg_1"


async def test_the_settings_secret_is_never_replaced() -> None:
    """A secret of the settings is the only one, and nobody is asked."""
    desk = Desk(NEW)
    hooks = desk.hooks(given=OLD)
    await hooks.check(signed(OLD))
    with pytest.raises(Refused):
        await hooks.check(signed(NEW))
    assert desk.asked == 0


@pytest.mark.parametrize(
    ("skew", "taken"), [(-299, True), (299, True), (-301, False), (301, False)]
)
async def test_skew(skew: int, taken: bool) -> None:
    """Up to five minutes are forgiven, before and after."""
    hooks = Desk(OLD).hooks()
    if taken:
        assert await hooks.check(signed(OLD, at=NOW + skew))
        return
    with pytest.raises(Refused) as refused:
        await hooks.check(signed(OLD, at=NOW + skew))
    assert refused.value.code.name == "unauthorized"


async def test_one_of_several_signatures_is_enough() -> None:
    """While a key is changed a call has several signatures, of sorts that we may not know."""
    hooks = Desk(OLD).hooks()
    right = signed(OLD)
    several = f"v1a,AAAA v1,{'A' * 44} {right.headers['webhook-signature']} odd"
    headers = {**right.headers, "webhook-signature": several}
    assert await hooks.check(Delivery({}, headers, BODY)) == "msg_1"


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-signature": ""},
        {"webhook-signature": "v1,é"},
        {"webhook-signature": "nonsense"},
        {"webhook-id": "msg_other"},
        {"webhook-timestamp": "yesterday"},
        {"webhook-timestamp": "9" * 40},
        {"webhook-timestamp": str(NOW + 1)},
    ],
)
async def test_what_is_not_signed_is_refused(changed: dict[str, str]) -> None:
    """Every part of a call is signed; one that is changed or missing is refused."""
    hooks = Desk(OLD).hooks()
    headers = {**signed(OLD).headers, **changed}
    with pytest.raises(Refused) as refused:
        await hooks.check(Delivery({}, headers, BODY))
    assert refused.value.code.http == 401


async def test_a_changed_body_is_refused() -> None:
    """The very bytes are signed."""
    hooks = Desk(OLD).hooks()
    with pytest.raises(Refused):
        await hooks.check(Delivery({}, signed(OLD).headers, BODY + b" "))


async def test_no_secret_to_be_had() -> None:
    """Without a secret nothing is let in, and who calls is told to come again."""
    desk = Desk(OLD)
    desk.away = True
    hooks = desk.hooks()
    with pytest.raises(Refused) as refused:
        await hooks.check(signed(OLD))
    assert (refused.value.code.name, refused.value.code.http) == ("provider_unreachable", 503)
    desk.away, desk.time = False, 31.0
    assert await hooks.check(signed(OLD)) == "msg_1"


async def test_nonsense_does_not_make_us_ask_who_does_not_answer() -> None:
    """While the secret cannot be had, it is asked for once in a while, however many call."""
    desk = Desk(OLD)
    desk.away = True
    hooks = desk.hooks()
    for _ in range(10):
        with pytest.raises(Refused) as refused:
            await hooks.check(signed(NEW))
        assert refused.value.code.http == 503
    assert desk.asked == 1
    desk.away, desk.time = False, 31.0
    await hooks.check(signed(OLD))
    desk.away = True
    for _ in range(10):
        with pytest.raises(Refused):
            await hooks.check(signed(NEW))
    assert desk.asked == 3


async def test_nonsense_does_not_keep_us_from_asking() -> None:
    """Who sends it all the time holds no new secret off: the pause is of the last question."""
    desk = Desk(OLD)
    hooks = desk.hooks()
    await hooks.check(signed(OLD))
    for time in (0.0, 10.0, 20.0, 29.0):
        desk.time = time
        with pytest.raises(Refused):
            await hooks.check(signed(FORGED))
    assert desk.asked == 2
    desk.time, desk.secret = 31.0, NEW
    assert await hooks.check(signed(NEW)) == "msg_1"


@pytest.mark.parametrize("known", [False, True])
async def test_what_is_not_even_signed_makes_nobody_ask(known: bool) -> None:
    """No secret is needed to refuse what has no signature, or comes at the wrong time."""
    desk = Desk(OLD)
    hooks = desk.hooks()
    if known:
        await hooks.check(signed(OLD))
    for delivery in (Delivery({}, {}, BODY), signed(OLD, at=NOW - 301)):
        with pytest.raises(Refused) as refused:
            await hooks.check(delivery)
        assert refused.value.code.http == 401
    assert desk.asked == known


def test_ids_are_remembered_and_bounded() -> None:
    """A call is known again by its id, and no number of calls fills the memory."""
    hooks = Desk(OLD).hooks()
    assert hooks.is_new("a")
    hooks.taken("a")
    assert not hooks.is_new("a")
    for number in range(MOST):
        hooks.taken(f"m{number}")
    assert hooks.is_new("a")
