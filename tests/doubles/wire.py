"""Rules for state machines over a `Pair`: the wire between both ends, one message at a time.

Hypothesis chooses when something is carried and when the server works; what the ends say is
for the machine that builds on this. It sets `pair` when it is initialized.
"""

from __future__ import annotations

from hypothesis import Phase
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from tests.doubles.pair import Pair

PHASES = [phase for phase in Phase if phase is not Phase.explain]
"""Explaining a long schedule takes minutes and says nothing."""


class Wire(RuleBasedStateMachine):
    """What is on its way arrives at last, in order, unless the connection is cut before."""

    pair: Pair

    @precondition(lambda self: self.pair.up)
    @rule(all=st.booleans())
    def carry_up(self, all: bool) -> None:
        for _ in range(len(self.pair.up) if all else 1):
            self.pair.carry_up()

    @precondition(lambda self: self.pair.effects)
    @rule()
    def work(self) -> None:
        self.pair.work()

    @precondition(lambda self: self.pair.down)
    @rule()
    def carry_down(self) -> None:
        self.pair.carry_down()
