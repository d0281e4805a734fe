"""What may go wrong once at a backend, in a prompt's life: each task ends well, and once.

One server and one backend for all of them, processes of their own, which live through one
trouble after the other.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.doubles.backend_house import backed, watched
from tests.doubles.child import Child
from tests.doubles.kernie import Kernie

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]
FAULTS = {
    "lost-request@1": 2,
    "lost-answer@1": 1,
    "http-500@1": 2,
    "html=prompt@1": 2,
    "html=history@1": 1,
    "http-500=history@1": 1,
    "late-answer=1@1": 1,
    "late-history=1@1": 1,
    "drop-socket=start@1": 1,
    "drop-socket=sampling@1": 1,
    "drop-socket=end@1": 1,
    "stall=2@1": 1,
    "restart=start@1": 2,
    "restart=sampling@1": 2,
    "restart=end@1": 2,
    "truncated@1": 1,
}
"""What goes wrong once, and the attempts that the task takes."""


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Child, Kernie]]:
    """The server and the backend of this file."""
    with backed(tmp_path_factory.mktemp("faults")) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
async def test_what_goes_wrong_once_ends_well(fault: str, pair: tuple[Child, Kernie]) -> None:
    """Whatever goes wrong once at the backend, the task is completed with one picture, and no
    prompt was submitted or run twice."""
    child, kernie = pair
    kernie.disarm()
    kernie.arm(fault)
    async with watched(child, kernie, f"task-{list(FAULTS).index(fault)}") as made:
        await made.create()
        events = await made.ended()
        await made.picture(events)
        runs = made.runs()
    assert set(runs.values()) == {1}, runs
    assert [event["type"] for event in events].count("artifact") == 1
    assert events[-1]["attempt"] == FAULTS[fault]
