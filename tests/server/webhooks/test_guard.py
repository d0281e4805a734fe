"""Nobody's webhook leads into our own network, whatever its address is called."""

from __future__ import annotations

from pathlib import Path

import httpcore2
import pytest

from safelight.webhooks.guarded import (
    Forbidden,
    Guarded,
    host_in,
    is_public,
    literal,
    refuse_private,
)
from safelight.webhooks.posting import NotTaken, Poster, Taken
from tests.doubles.receiver import receiving
from tests.doubles.served import served

PRIVATE = [
    "0.0.0.0",
    "10.0.0.1",
    "100.64.0.1",
    "127.0.0.1",
    "127.9.9.9",
    "169.254.169.254",
    "172.16.0.1",
    "192.0.2.1",
    "192.168.1.1",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::127.0.0.1",
    "64:ff9b::a00:1",
    "2002:7f00:1::",
    "2001:0:4136:e378:8000:63bf:3fff:fdd2",
    "fc00::1",
    "fd00:ec2::254",
    "fe80::1",
    "fe80::1%eth0",
    "ff02::1",
    "fec0::1",
    "64:ff9b:1::a00:1",
    "::ffff:0:10.0.0.1",
    "3fff::1",
    "5f00::1",
    "no address",
]

PUBLIC = ["1.1.1.1", "93.184.216.34", "2606:4700:4700::1111", "::ffff:1.1.1.1", "64:ff9b::101:101"]


@pytest.mark.parametrize("address", PRIVATE)
def test_private_addresses_are_not_public(address: str) -> None:
    """Loopback, link-local, private and reserved networks, also wrapped in other forms."""
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_public_addresses_are(address: str) -> None:
    """What is of the open internet may be asked."""
    assert is_public(address)


SPELLINGS = {
    "127.1": "127.0.0.1",
    "0x7f.1": "127.0.0.1",
    "2130706433": "127.0.0.1",
    "0177.0.0.1": "127.0.0.1",
    "[::1]": "::1",
    "example.com": None,
    "1e100.net": None,
}


@pytest.mark.parametrize("host", SPELLINGS)
def test_old_spellings_are_addresses(host: str) -> None:
    """What a resolver may take for an address is read as one."""
    assert literal(host) == SPELLINGS[host]


HOSTS = ["127.0.0.1", "localhost", "LOCALHOST.", "a.localhost", "box.local", "x.internal"]
HOSTS += ["[::1]", "0x7f000001", "169.254.169.254", "[::ffff:127.0.0.1]", "10.1"]


@pytest.mark.parametrize("host", HOSTS)
async def test_a_create_with_a_private_receiver_is_refused(tmp_path: Path, host: str) -> None:
    """What is known without asking is refused at once, by the name of the field."""
    async with served(tmp_path) as house:
        body = {"kind": "image", "prompt": "x", "webhook": f"http://{host}:8080/hook"}
        answer = await house.post("/api/tasks", body)
        assert answer.status_code == 400, answer.text
        (told,) = answer.json()["error"]["details"]
        assert told["field"] == "webhook"
        assert "webhook_allow_private" in told["expected"]


async def test_a_name_that_leads_inside_is_not_asked(tmp_path: Path) -> None:
    """Every address of a name must be public, or none of them is asked."""

    async def resolve(host: str, port: int) -> list[str]:
        return ["1.1.1.1", "127.0.0.1"]

    async with receiving() as receiver:
        network = Guarded(private=False, resolve=resolve)
        poster = Poster(5.0, private=False, network=network)
        async with poster.open():
            verdict = await poster.post(receiver.url("hook.example"), {}, b"{}")
        assert verdict == NotTaken(
            "hook.example leads to an address of a private network", final=True
        )
        assert receiver.calls == []


async def test_the_address_that_was_looked_at_is_the_one_that_is_asked(tmp_path: Path) -> None:
    """A name that changes between the look and the connection cannot lead elsewhere: it is
    resolved once, and the connection is made to what came of that."""
    asked: list[str] = []

    async def resolve(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"]

    async with receiving() as receiver:
        network = Guarded(private=True, resolve=resolve)
        poster = Poster(5.0, private=True, network=network)
        async with poster.open():
            assert await poster.post(receiver.url("hook.example"), {}, b"{}") == Taken()
        assert asked == ["hook.example"]
        assert receiver.calls[0].headers["host"] == f"hook.example:{receiver.port}"


async def test_a_name_that_is_nowhere_may_be_there_later() -> None:
    """What cannot be resolved is a failure that may pass."""

    async def resolve(host: str, port: int) -> list[str]:
        raise OSError("no such name")

    with pytest.raises(httpcore2.ConnectError):
        await Guarded(private=False, resolve=resolve).connect_tcp("hook.example", 443)
    poster = Poster(5.0, private=False, network=Guarded(private=False, resolve=resolve))
    async with poster.open():
        verdict = await poster.post("https://hook.example/x", {}, b"{}")
    assert isinstance(verdict, NotTaken)
    assert not verdict.final


def test_a_public_name_is_not_refused_unasked() -> None:
    """Only what is known to be private is."""
    refuse_private("example.com")
    refuse_private("1.1.1.1")
    with pytest.raises(Forbidden):
        refuse_private("127.0.0.1")


def test_an_address_that_nobody_can_ask_has_no_host() -> None:
    """What is written with an event is written, whatever its webhook is called."""
    for url in ("http://a:b/", "http://a\x00b/", "http://ä" + "ö" * 200):
        assert host_in(url) == ""


@pytest.mark.parametrize("private", [False, True])
async def test_an_address_that_nobody_can_ask_is_refused(tmp_path: Path, private: bool) -> None:
    """By the create, in words; no task is made whose end could not be written."""
    async with served(tmp_path, webhook_allow_private=private) as house:
        body = {"kind": "image", "prompt": "x", "model": "scripted/image"}
        answer = await house.post("/api/tasks", body | {"webhook": "http://a:b/"})
        assert answer.status_code == 400
        assert answer.json()["error"]["details"][0]["field"] == "webhook"
