"""One object store for all tests of this folder: it takes seconds to start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.bucket import Bucket, bucket


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bucket]:
    """The store; each test has a prefix of its own in it."""
    with bucket(tmp_path_factory.mktemp("moto")) as made:
        yield made
