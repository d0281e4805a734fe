"""Task ids: UUIDs of version 7 that sort by time."""

from __future__ import annotations

import secrets
from uuid import RFC_4122, UUID

from hypothesis import given
from hypothesis import strategies as st

from safelight.ids import uuid7
from safelight_protocol.topics import is_task_id
from tests.doubles.lives import NOW

TIMES = st.integers(min_value=0, max_value=2**48 - 1)
BYTES = st.binary(min_size=10, max_size=10)


def test_an_id_is_spelt_as_the_rfc_says() -> None:
    """The fields of RFC 9562, 5.7: time, version, randomness, variant, randomness."""
    assert uuid7(NOW, lambda size: b"\x00" * size) == "018bcfe5-6800-7000-8000-000000000000"
    assert uuid7(NOW, lambda size: b"\xff" * size) == "018bcfe5-6800-7fff-bfff-ffffffffffff"


@given(TIMES, BYTES)
def test_every_id_is_a_version_7(now: int, drawn: bytes) -> None:
    """Others read version, variant and time from it; a client may join its topic."""
    made = uuid7(now, lambda size: drawn[:size])
    assert UUID(made).version == 7 and UUID(made).variant == RFC_4122
    assert int(made.replace("-", "")[:12], 16) == now
    assert is_task_id(made)


@given(TIMES, TIMES, BYTES, BYTES)
def test_later_ids_sort_later(one: int, two: int, drawn: bytes, other: bytes) -> None:
    """Of two milliseconds the earlier one's id comes first, whatever was drawn."""
    if one < two:
        assert uuid7(one, lambda size: drawn) < uuid7(two, lambda size: other)


def test_an_instant_has_many_ids() -> None:
    """Ids of one millisecond differ by 74 random bits."""
    assert len({uuid7(NOW, secrets.token_bytes) for _ in range(5_000)}) == 5_000


@given(BYTES)
def test_only_six_bits_are_not_random(drawn: bytes) -> None:
    """What was drawn is in the id, but for version and variant."""
    fixed = 0xF << 76 | 0x3 << 62
    tail = UUID(uuid7(NOW, lambda size: drawn)).int & (2**80 - 1)
    assert tail & ~fixed == int.from_bytes(drawn, "big") & ~fixed
