"""The engines that the store's contract is tested with.

`engine` opens the same data as often as a test likes; `store` is the first opening. A
second engine is one more line in ENGINES: every test in test_contract_*.py is for all.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from safelight.store import Store, open_store
from tests.doubles.lives import NOW

Engine = Callable[[], AbstractAsyncContextManager[Store]]

ENGINES: dict[str, Callable[[Path], Engine]] = {
    "sqlite": lambda folder: lambda: open_store(folder / "data", NOW),
}


@pytest.fixture(params=list(ENGINES))
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Engine:
    """Opens the store of this test; not while it is open."""
    return ENGINES[request.param](tmp_path)


@pytest.fixture
async def store(engine: Engine) -> AsyncIterator[Store]:
    """An open, empty store."""
    async with engine() as opened:
        yield opened
