"""Randomness that is fetched in advance: each byte is given once, and to one process."""

from __future__ import annotations

import os
from itertools import count

import pytest

from safelight.machine import POOL_BYTES, Machine, Pool


def numbered() -> Pool:
    """A pool in which no two bytes that are next to each other come again."""
    numbers = count()

    def fetch(size: int) -> bytes:
        return b"".join(next(numbers).to_bytes(4, "big") for _ in range(-(-size // 4)))[:size]

    return Pool(fetch)


@pytest.mark.parametrize("size", [1, 4, 10, 1000, POOL_BYTES, 3 * POOL_BYTES])
def test_as_many_bytes_as_are_asked_for(size: int) -> None:
    """Each time, also where what is left does not suffice."""
    pool = Pool()
    assert {len(pool.take(size)) for _ in range(3 * POOL_BYTES // size + 3)} == {size}


def test_nothing_is_given_twice() -> None:
    """What does not suffice is thrown away, not begun with."""
    pool = numbered()
    given = [pool.take(12) for _ in range(POOL_BYTES)]
    assert len(set(given)) == len(given)


def test_the_system_is_asked_seldom() -> None:
    """Once for some hundred ids."""
    asked = []
    pool = Pool(lambda size: asked.append(size) or os.urandom(size))  # type: ignore[func-returns-value]
    for _ in range(400):
        pool.take(10)
    assert asked == [POOL_BYTES]


@pytest.mark.parametrize("bits", [1, 8, 53, 64])
def test_a_number_has_its_bits_and_no_more(bits: int) -> None:
    """All of them are used."""
    pool = Pool()
    numbers = [pool.bits(bits) for _ in range(2000)]
    assert max(numbers) < 2**bits
    assert max(numbers).bit_length() == bits
    assert len({number & 1 for number in numbers}) == 2


def test_a_child_does_not_give_what_its_parent_gives() -> None:
    """What was fetched before a fork is the parent's."""
    machine = Machine()
    machine.token(1)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, machine.token(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reader, 16) != machine.token(16)
    os.close(reader)
    os.close(writer)
