"""Who may have how many tries under way: counts, and a memory for who was slow.

An owner may begin another only while more places are free than the owner has, so that
however many hang, the next one to come finds room. Owners whose receivers were slow of late
share one half of the places; the other half is for all others. Of one owner's hosts those
that were slow come behind. Knows no store and no clock.
"""

from __future__ import annotations

import itertools
from collections import Counter

from ..store import DeliveryRow

AT_ONCE = 64
"""Tries under way in all."""

PER_OWNER = AT_ONCE // 2
"""What comes of the rule for an owner who is alone."""

SLOW_AT_ONCE = AT_ONCE // 2
"""Those of them that owners may have who were slow of late, all together."""

PER_HOST = 4
"""Tries under way for one owner at one host."""

SLOW_MS = 5_000
"""A try that takes longer makes its owner slow."""

SLOW_FOR_MS = 600_000
"""How long its owner is slow after a slow try."""


class Places:
    """The tries under way."""

    def __init__(self) -> None:
        self._rows: dict[str, dict[str, DeliveryRow]] = {}
        self._lines: Counter[tuple[str, str]] = Counter()
        self._as_slow: set[str] = set()
        self._taken = 0
        self._slow_until: dict[str, int] = {}
        self._slow_hosts: dict[str, dict[str, int]] = {}

    @property
    def free(self) -> int:
        """How many are free."""
        return AT_ONCE - self._taken

    def slow(self, owner: str, now: int) -> bool:
        """Whether the owner's receivers were slow of late."""
        return _lasts(self._slow_until.get(owner, 0), now)

    def left(self, *, slow: bool) -> int:
        """How many are free for those who were slow of late, or for all others."""
        free = self.free
        return min(free, SLOW_AT_ONCE - len(self._as_slow)) if slow else free

    def room(self, owner: str, *, slow: bool) -> int:
        """How many an owner may begin now, if nobody else begins one."""
        return max(0, (self.left(slow=slow) - len(self._rows.get(owner, ())) + 1) // 2)

    def take(self, row: DeliveryRow, *, slow: bool) -> bool:
        """Take a place for a notice, unless its line has enough; whether it has one."""
        line = (row.owner, row.host)
        if self._lines[line] >= PER_HOST:
            return False
        self._lines[line] += 1
        self._rows.setdefault(row.owner, {})[row.id] = row
        self._taken += 1
        if slow:
            self._as_slow.add(row.id)
        return True

    def leave(self, row: DeliveryRow, began: int, now: int) -> None:
        """A try that began then is over."""
        if now - began > SLOW_MS:
            self._remember(row.owner, row.host, now)
        self._taken -= 1
        self._as_slow.discard(row.id)
        rows, line = self._rows[row.owner], (row.owner, row.host)
        del rows[row.id]
        if not rows:
            del self._rows[row.owner]
        self._lines[line] -= 1
        if not self._lines[line]:
            del self._lines[line]

    def under_way(self, owner: str) -> list[str]:
        """The ids of an owner's."""
        return list(self._rows.get(owner, ()))

    def busy(self, owner: str) -> list[str]:
        """The hosts at which an owner has some."""
        return list({row.host for row in self._rows.get(owner, {}).values()})

    def full(self, owner: str) -> list[str]:
        """Those of them at which it is as many as may be."""
        return [host for host in self.busy(owner) if self._lines[owner, host] >= PER_HOST]

    def behind(self, owner: str, now: int) -> list[str]:
        """The hosts that come behind an owner's others: those at which something is under way,
        and those that were slow of late."""
        slow = self._slow_hosts.get(owner, {})
        return list({*self.busy(owner), *(host for host in slow if _lasts(slow[host], now))})

    def _remember(self, owner: str, host: str, now: int) -> None:
        hosts = self._slow_hosts.setdefault(owner, {})
        _push(hosts, host, now)
        for name in _push(self._slow_until, owner, now):
            del self._slow_hosts[name]


def _lasts(until: int, now: int) -> bool:
    """Whether who is slow until then is so now; what a clock that was ahead has said is not
    kept for longer than anything else."""
    return 0 < until - now <= SLOW_FOR_MS


def _push(slow: dict[str, int], name: str, now: int) -> list[str]:
    """The last to be slow stands last, so what has been forgotten is in front, and goes; who
    that was."""
    slow.pop(name, None)
    slow[name] = now + SLOW_FOR_MS
    gone = list(itertools.takewhile(lambda one: not _lasts(slow[one], now), slow))
    for one in gone:
        del slow[one]
    return gone
