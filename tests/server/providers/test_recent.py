"""What adapters remember for a while."""

from __future__ import annotations

from safelight.providers.recent import Recent


def test_the_oldest_goes() -> None:
    """A key too many drives out that which was put in longest ago, looked at or not."""
    recent: Recent[str, int] = Recent(2)
    for number, key in enumerate("abac"):
        recent.put(key, number)
        assert recent.get("b") in (None, 1)
    assert len(recent) == 2
    assert ("b" in recent, recent.get("a"), recent.get("c")) == (False, 2, 3)


def test_discarding() -> None:
    """What was taken out is not known any more, and may be taken out again."""
    recent: Recent[str, None] = Recent()
    recent.put("a", None)
    recent.discard("a")
    recent.discard("a")
    assert "a" not in recent and recent.get("a") is None
