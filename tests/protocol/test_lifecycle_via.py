"""What really runs: from a verified fault, or a claim elsewhere, to the result."""

from __future__ import annotations

import msgspec

from safelight_protocol import lifecycle
from safelight_protocol.events import Completed, Started
from safelight_protocol.inputs import Claimed, Faulted, Finished, Lost
from safelight_protocol.snapshot import opening, result_of
from tests.doubles.lives import ERROR, NOW, born, fresh, resolved

SOUTH = resolved(model="south/x", provider="south")


def test_a_fault_may_send_the_next_attempt_elsewhere() -> None:
    """`retrying` still belongs to the attempt that ended; `started` names the other host."""
    task = lifecycle.step(born(fresh()), Claimed(), NOW).task
    step = lifecycle.step(task, Faulted(ERROR, NOW, via=SOUTH), NOW)
    assert step.event is not None and step.event.attempt == 1
    assert (step.task.ran, step.task.resolved.provider) == (SOUTH, "local")
    started = lifecycle.step(step.task, Claimed(), NOW).event
    assert isinstance(started, Started)
    assert (started.provider, started.model) == ("south", "south/x")
    assert started.substituted_for is msgspec.UNSET


def test_it_stays_there_until_it_is_sent_elsewhere_again() -> None:
    """A later fault or loss that says nothing leaves it, and home is a host like others."""
    task = lifecycle.step(born(fresh()), Claimed(via=SOUTH), NOW).task
    for happening in (Lost(ERROR, NOW), Faulted(ERROR, NOW)):
        moved = lifecycle.step(task, happening, NOW).task
        assert lifecycle.step(moved, Claimed(), NOW).task.ran == SOUTH
    home = lifecycle.step(task, Faulted(ERROR, NOW, via=task.resolved), NOW).task
    assert home.ran == home.resolved


def test_a_claim_may_be_for_another_host() -> None:
    """The event of the claim says so, and so does the result."""
    step = lifecycle.step(born(fresh()), Claimed(via=SOUTH), NOW)
    assert isinstance(step.event, Started) and step.event.provider == "south"
    result = result_of(opening(step.task), step.task, NOW + 5)
    done = lifecycle.step(step.task, Finished(result), NOW + 5).event
    assert isinstance(done, Completed)
    assert (done.result_data.provider, done.result_data.model) == ("south", "south/x")
